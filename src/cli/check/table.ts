/** Rows in columns, for people: each column as wide as its widest cell, the last one free. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows
    .map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '))
    .map((line) => `${indent}${line.trimEnd()}\n`)
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
