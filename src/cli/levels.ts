/** How important a log line is; apart from `log.ts`, so that `opes --help` loads no logger. */
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];
