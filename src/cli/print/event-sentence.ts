import type { FleetEvent } from '../../core/api/events.ts';
import { count, size, spell } from './amounts.ts';
import { oneLine } from './plain-text.ts';

/** What an event is about, read as text; what is missing or of another kind is `?`. */
class Facts {
  readonly #data: FleetEvent['data'];

  constructor(data: FleetEvent['data']) {
    this.#data = data;
  }

  text(name: string): string {
    const value = this.#data[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
  }

  number(name: string): number {
    const value = this.#data[name];
    return typeof value === 'number' ? value : 0;
  }

  is(name: string): boolean {
    return this.#data[name] === true;
  }

  /** `a.bin and 3 more`, of a list of files of which the first are told. */
  get files(): string {
    const { files } = this.#data;
    const first: unknown = Array.isArray(files) ? files[0] : undefined;
    const name = typeof first === 'object' && first !== null && 'name' in first ? String(first.name) : '?';
    const more = this.number('count') - 1;
    return more > 0 ? `${name} and ${count(more, 'more', 'more')}` : name;
  }

  /** All of it, for events that are not known here; ids that people do not know are left out. */
  get rest(): string {
    return Object.entries(this.#data)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(', ');
  }
}

const SENTENCES: Readonly<Record<string, (facts: Facts) => string>> = {
  'server.joined': (f) =>
    `${f.text('name')} (${f.text('zone')}) ${f.is('again') ? 'is back' : 'has joined'} at ${f.text('url')}`,
  'server.state': (f) => `${f.text('name')} is ${f.text('to')}, was ${f.text('from')}`,
  'server.gone': (f) => `${f.text('name')} is forgotten`,
  'server.clock': (f) =>
    f.is('right')
      ? `the clock of ${f.text('name')} is right again`
      : `the clock of ${f.text('name')} is wrong by ${spell(Math.abs(f.number('secondsAhead')))}`,
  'server.lied': (f) => `${f.text('name')} ${f.text('why')} (${count(f.number('count'), 'file')})`,
  'server.command': (f) => `${f.text('name')} is told to ${f.text('command')}`,
  'download.started': (f) =>
    `${f.text('user')} downloads ${f.text('name')} from ${count(f.number('servers'), 'server')}`,
  'download.ended': (f) =>
    `${f.text('user')}'s download of ${f.text('name')} is ${f.text('outcome')}: ${size(f.number('bytes'))} in ${spell(f.number('seconds'))}${f.text('code') === '?' ? '' : ` (${f.text('code')})`}`,
  'file.published': (f) => `${f.text('serverName')} has brought ${f.files}`,
  'file.renamed': (f) => `${f.text('before')} is ${f.text('name')} now`,
  'file.deleted': (f) =>
    `${f.text('name') === '?' ? `the file ${f.text('file')}` : f.text('name')} is deleted`,
  'file.clash': (f) =>
    `${f.text('serverName')} has another ${f.text('wanted')}: it is called ${f.text('name')}`,
  'holding.lost': (f) => `no server has ${f.files} any more: ${f.text('serverName')} was the last one`,
  'chunk.bad': (f) => `${f.text('serverName')} has found bad chunks in its ${f.text('name')}`,
  'leader.changed': (f) => `${f.text('url')} leads`,
  'keys.rotated': (f) => `there is a new signing key, ${f.text('kid')}`,
  'grant.revoked': (f) => `the download ${f.text('grant')} was revoked`,
  'event.dead-lettered': (f) =>
    `the event ${f.text('kind')} could not be done by ${f.text('name')}: ${f.text('why')}`,
};

/** `08:31:07  server.state     server-2 is paused, was running`. */
export function eventSentence({ at, kind, data }: FleetEvent): string {
  const facts = new Facts(data);
  const sentence = Object.hasOwn(SENTENCES, kind) ? SENTENCES[kind]?.(facts) : undefined;
  return oneLine(
    `${new Date(at).toLocaleTimeString('en-GB')}  ${kind.padEnd(16)}  ${sentence ?? facts.rest}`,
  );
}
