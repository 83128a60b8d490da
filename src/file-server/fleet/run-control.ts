import type { HeartbeatAnswer, ServerCommand } from '../../core/api/servers.ts';
import type { FileServer } from '../file-server.ts';
import type { ChangedBy, RunState } from './fleet-types.ts';

const STATE_OF: Readonly<Record<ServerCommand, RunState>> = {
  pause: 'paused',
  resume: 'running',
  drain: 'draining',
  stop: 'stopped',
};

export interface RunControlOptions {
  readonly onChange: (state: RunState, by: ChangedBy) => void;
  /** It is to end: once, however often it is asked for. */
  readonly onStop: (by: ChangedBy) => void;
}

/**
 * What the server does, whoever wants it: its console, a signal, an operator of the fleet. The last word counts. What the
 * fleet wants is a lasting state there, so that only a change of it is a word.
 */
export class RunControl {
  readonly #options: RunControlOptions;
  #server: FileServer | undefined;
  #state: RunState = 'running';
  #wanted: HeartbeatAnswer['wanted'] = 'running';
  #commanded = 0;
  #stopping = false;

  constructor(options: RunControlOptions) {
    this.#options = options;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Grows with every command, so that an answer that crossed one is not taken for news. */
  get commanded(): number {
    return this.#commanded;
  }

  /** From now on it is this server. */
  controls(server: FileServer): void {
    this.#server = server;
    if (this.#state === 'paused') server.pause();
  }

  /** Somebody here wants it. */
  to(state: RunState, by: ChangedBy): void {
    if (this.#stopping || state === this.#state) return;
    if (state === 'stopped') {
      this.#stopping = true;
      // Whatever was held back can go out now.
      this.#enter('draining', by);
      this.#options.onStop(by);
      return;
    }
    this.#enter(state, by);
  }

  /** An operator of the fleet said so. */
  command(command: ServerCommand): void {
    this.#commanded++;
    const state = STATE_OF[command];
    this.#wanted = state;
    this.to(state, 'operator');
  }

  /** What the fleet wants, as it was when `commanded` was so much. */
  wanted(wanted: HeartbeatAnswer['wanted'], commanded: number = this.#commanded): void {
    if (commanded !== this.#commanded || wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.to(wanted, 'operator');
  }

  /** It has ended. */
  stopped(by: ChangedBy): void {
    this.#stopping = true;
    if (this.#state !== 'stopped') this.#enter('stopped', by);
  }

  #enter(state: RunState, by: ChangedBy): void {
    if (state === this.#state) return;
    this.#state = state;
    if (state === 'paused') this.#server?.pause();
    else this.#server?.resume();
    this.#options.onChange(state, by);
  }
}
