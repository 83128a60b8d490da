/** The library's face. */
export { HeadwaterError, ERRORS, EXIT, type ErrorCode, type Remedy } from './core/errors.ts';
export type {
  DoneEvent,
  DownloadEvent,
  DownloadOptions,
  DownloadReport,
  NoticeEvent,
  ProgressEvent,
  SourceEvent,
  SourceProgress,
  SourceReport,
  SourceState,
  StartEvent,
  Verification,
} from './client/types.ts';
export { parseManifest, type Manifest } from './core/manifest.ts';
