/** Rows in columns, for people: each column as wide as its widest cell, the last one free; where that has lines, they begin below each other. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  const text = rows.map((row) => {
    const before = row.slice(0, -1).map((cell, at) => `${cell.padEnd(widths[at] ?? 0)}  `);
    const start = indent + before.join('');
    const [first = '', ...more] = (row.at(-1) ?? '').split('\n');
    return [start + first, ...more.map((line) => ' '.repeat(start.length) + line)];
  });
  return text
    .flat()
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

export function shownMs(ms: number): string {
  if (ms % 60_000 === 0 && ms > 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${Math.round(ms * 10) / 10}ms`;
}

export function shownOctets(octets: number): string {
  if (octets >= 1e6 && octets % 1e5 === 0) return `${octets / 1e6} MB`;
  return octets >= 1000 ? `${Math.round(octets / 100) / 10} kB` : `${octets} octets`;
}
