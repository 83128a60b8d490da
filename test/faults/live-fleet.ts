import type { SourceSpec } from '../../src/client/live-sources.ts';
import { Bitmap } from '../../src/core/bitmap.ts';
import { MIB } from '../../src/core/chunks.ts';
import type { Misbehaviour, Script, SeenRequest } from './fault-server.ts';
import type { Lab } from './network/lab.ts';

/** Bytes a second at which a download is still under way when something happens to it. */
export const PACE = 4 * MIB;

/** The servers of a lab as a fleet would describe them. */
export function fleet(lab: Lab, more: Partial<SourceSpec> = {}): SourceSpec[] {
  return lab.servers.map(({ url }, at) => ({
    url,
    id: `id-${at + 1}`,
    name: `server-${at + 1}`,
    zone: at % 2 === 0 ? 'a' : 'b',
    known: true,
    ...more,
  }));
}

export function only(list: readonly SourceSpec[], ...numbers: readonly number[]): SourceSpec[] {
  return numbers.flatMap((number) => list[number - 1] ?? []);
}

/** Chunks `from` to `to` (exclusive), of so many. */
export function chunks(count: number, from: number, to: number): Bitmap {
  const bitmap = new Bitmap(count);
  for (let chunk = from; chunk < to; chunk++) bitmap.add(chunk);
  return bitmap;
}

/** How a server of ours refuses. */
export function refusal(
  status: number,
  code: string,
  message = 'no',
  headers: Readonly<Record<string, string>> = {},
): Misbehaviour {
  return {
    does: 'send',
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ code, message, details: {} }),
  };
}

/** Holds chunks of 1 MiB, `from` to `to` (exclusive), and nothing else. */
export function holding(from: number, to: number): Script {
  return ({ range }) =>
    range !== undefined && range.from >= from * MIB && range.to <= to * MIB
      ? { does: 'answer' }
      : refusal(404, 'HW_NOT_HERE', 'not held here');
}

export const token = ({ headers }: SeenRequest): string | undefined => headers.get('authorization');
