/** One number, or one for each value of a label. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly value: number | Readonly<Record<string, number>>;
  /** Name of the label where there are several values. */
  readonly label?: string;
}

/** Numbers in Prometheus' text format, version 0.0.4. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, help, kind, value, label = 'kind' }) => {
    const values =
      typeof value === 'number'
        ? [`${name} ${value}`]
        : Object.entries(value).map(([of, each]) => `${name}{${label}="${of}"} ${each}`);
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...values];
  });
  return `${lines.join('\n')}\n`;
}
