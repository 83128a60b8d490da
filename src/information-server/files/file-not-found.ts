import { HeadwaterError } from '../../core/errors.ts';

/** Same for a file that is not there and one that the account may not see: nobody learns which. */
export function fileNotFound(file: string): HeadwaterError {
  return new HeadwaterError('HW_NOT_FOUND', `there is no file ${file}, or you may not see it`, {
    details: { file },
  });
}
