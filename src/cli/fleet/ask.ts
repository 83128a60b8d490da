import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { Writable } from 'node:stream';

import { HeadwaterError } from '../../core/errors.ts';

/** A terminal to ask a person at, or not. */
export interface Questioner {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
}

/**
 * The password in a file, or the one that is typed at the terminal, which does not show it.
 *
 * @param file path; "-" is standard input; undefined asks
 * @throws HeadwaterError `HW_USAGE` where there is neither, `HW_INTERRUPTED`
 */
export async function password(prompt: string, file: string | undefined, at: Questioner): Promise<string> {
  if (file === '-') return firstLine(await text(at.stdin), 'standard input');
  if (file !== undefined) return firstLine(readPasswordFile(file), file);
  if (at.stdin.isTTY !== true) {
    throw new HeadwaterError(
      'HW_USAGE',
      'standard input is no terminal to ask for the password at: --password-file FILE takes it from a file, "-" from standard input',
    );
  }
  const typed = await ask(`${prompt}: `, at, 'hidden');
  if (typed === '') throw new HeadwaterError('HW_USAGE', 'no password was typed');
  return typed;
}

/** Asks twice, so that a slip of the finger does not lock anybody out. */
export async function newPassword(prompt: string, file: string | undefined, at: Questioner): Promise<string> {
  const first = await password(prompt, file, at);
  if (file !== undefined) return first;
  const second = await password('The same again', undefined, at);
  if (first !== second) throw new HeadwaterError('HW_USAGE', 'the two passwords are not the same');
  return first;
}

/** @throws HeadwaterError `HW_USAGE` where there is no terminal, `HW_INTERRUPTED` */
export async function answerTo(prompt: string, missing: string, at: Questioner): Promise<string> {
  if (at.stdin.isTTY !== true) throw new HeadwaterError('HW_USAGE', missing);
  return (await ask(`${prompt}: `, at, 'shown')).trim();
}

/** Whether the person says yes. */
export async function confirmed(question: string, at: Questioner): Promise<boolean> {
  return /^y(es)?$/i.test((await ask(`${question} [y/N] `, at, 'shown')).trim());
}

function ask(prompt: string, { stdin, stderr }: Questioner, echo: 'shown' | 'hidden'): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const shown = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      stderr.write(chunk.toString());
      done();
    },
  });
  stderr.write(prompt);
  // With terminal: true readline reads key by key, and what it echoes goes to the output that it is given.
  const lines = createInterface({
    input: stdin,
    output: echo === 'hidden' ? nowhere : shown,
    terminal: true,
  });
  return new Promise((resolve, reject) => {
    let line: string | undefined;
    lines.on('line', (typed) => {
      line = typed;
      lines.close();
    });
    lines.on('close', () => {
      if (echo === 'hidden' || line === undefined) stderr.write('\n');
      if (line !== undefined) resolve(line);
      else reject(new HeadwaterError('HW_INTERRUPTED', 'stopped; nothing was done'));
    });
  });
}

function readPasswordFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const message = `--password-file takes a file; ${JSON.stringify(path)} cannot be read (${why})`;
    throw new HeadwaterError('HW_USAGE', message, { cause });
  }
}

/** Without the end of line that editors leave. */
function firstLine(content: string, from: string): string {
  const line = content.replace(/\r?\n$/, '');
  if (line === '') throw new HeadwaterError('HW_USAGE', `there is no password in ${from}`);
  if (/[\r\n]/.test(line)) throw new HeadwaterError('HW_USAGE', `there is more than one line in ${from}`);
  return line;
}
