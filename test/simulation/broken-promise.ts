/** The scheduler did what its contract forbids, or did not do what it promises. `promise` names which. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
  readonly promise: PromiseName;
  /** Milliseconds from the start of the run. */
  readonly at: number;

  constructor(promise: PromiseName, at: number, what: string) {
    super(`${promise}: at ${at.toFixed(3)} ms ${what}`);
    this.promise = promise;
    this.at = at;
  }
}

export type PromiseName =
  // what the contract in types.ts says of single actions
  | 'one request a slot'
  | 'lanes are used once'
  | 'asks only for what is there'
  | 'asks nobody who is away'
  | 'every chunk once'
  | 'hedges only what is owed'
  | 'cuts only what has not begun'
  | 'says what is so'
  // what architecture promises of whole runs
  | 'waste within the budget'
  | 'waste is counted'
  | 'always finishes'
  | 'no live-lock'
  | 'no source idle'
  | 'not slower than one'
  | 'near the ideal'
  | 'patient with those who send';
