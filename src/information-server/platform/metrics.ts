/** Labels of a sample, such as `{ route: '/v1/files', status: '2xx' }`. Their values must be few. */
export type Labels = Readonly<Record<string, string>>;

/** Upper ends of a histogram's buckets, seconds: from a query of an index to a page of a million files. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

export interface Counter {
  add(amount?: number, labels?: Labels): void;
}

export interface Histogram {
  /** @param seconds what was measured */
  observe(seconds: number, labels?: Labels): void;
}

/** One value now: plain, or one for each set of labels. */
export type GaugeReading = number | readonly (readonly [Labels, number])[];

interface Family {
  lines(): Promise<string[]>;
}

/**
 * Figures in Prometheus' text format (exposition format 0.0.4). Our own writer: three kinds of figures in a hundred
 * lines, where the customary library brings timers of its own and costs more per request than the request.
 */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /** Something counted since the start; the name ends in `_total`. */
  counter(name: string, help: string): Counter {
    const values = new Map<string, number>();
    this.#add(name, { lines: async () => [...head(name, help, 'counter'), ...samples(name, values)] });
    return {
      add: (amount = 1, labels = {}) => {
        const key = keyOf(labels);
        values.set(key, (values.get(key) ?? 0) + amount);
      },
    };
  }

  /**
   * Something read when somebody asks. A reading that fails is left out.
   *
   * @param type `counter` for what only grows, and is counted elsewhere
   */
  gauge(
    name: string,
    help: string,
    read: () => GaugeReading | Promise<GaugeReading>,
    type: 'gauge' | 'counter' = 'gauge',
  ): void {
    const lines = async (): Promise<string[]> => {
      const value = await Promise.resolve()
        .then(read)
        .catch(() => []);
      const rows: (readonly [Labels, number])[] = typeof value === 'number' ? [[{}, value]] : [...value];
      const values = new Map(rows.map(([labels, each]) => [keyOf(labels), each]));
      return [...head(name, help, type), ...samples(name, values)];
    };
    this.#add(name, { lines });
  }

  /** How long something took; the name ends in `_seconds`. */
  histogram(name: string, help: string): Histogram {
    const series = new Map<string, { readonly counts: number[]; sum: number; count: number }>();
    const lines = async (): Promise<string[]> => {
      const rows = [...series].flatMap(([key, { counts, sum, count }]) => {
        let total = 0;
        const buckets = BUCKETS.map((end, index) => {
          total += counts[index] ?? 0;
          return `${name}_bucket${braces(join(key, `le="${end}"`))} ${total}`;
        });
        const last = `${name}_bucket${braces(join(key, 'le="+Inf"'))} ${count}`;
        return [...buckets, last, `${name}_sum${braces(key)} ${sum}`, `${name}_count${braces(key)} ${count}`];
      });
      return [...head(name, help, 'histogram'), ...rows];
    };
    this.#add(name, { lines });
    return {
      observe: (seconds, labels = {}) => {
        const key = keyOf(labels);
        let one = series.get(key);
        if (one === undefined) series.set(key, (one = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 }));
        one.sum += seconds;
        one.count += 1;
        const bucket = BUCKETS.findIndex((end) => seconds <= end);
        if (bucket !== -1) one.counts[bucket] = (one.counts[bucket] ?? 0) + 1;
      },
    };
  }

  /** Everything, as Prometheus reads it. */
  async text(): Promise<string> {
    const families = await Promise.all([...this.#families.values()].map((family) => family.lines()));
    return `${families.flat().join('\n')}\n`;
  }

  #add(name: string, family: Family): void {
    if (this.#families.has(name)) throw new Error(`the figure ${name} is there already`);
    this.#families.set(name, family);
  }
}

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function samples(name: string, values: ReadonlyMap<string, number>): string[] {
  return [...values].map(([key, value]) => `${name}${braces(key)} ${value}`);
}

function keyOf(labels: Labels): string {
  let key = '';
  for (const name in labels) key = join(key, `${name}="${escaped(labels[name] ?? '')}"`);
  return key;
}

function join(first: string, second: string): string {
  return first === '' ? second : `${first},${second}`;
}

function braces(key: string): string {
  return key === '' ? '' : `{${key}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
