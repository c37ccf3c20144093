/**
 * Logs on stderr: one JSON object a line (pino), or short lines for a person where stderr is a terminal. A line of `warn`
 * or `error` is out at once, others within a moment (`stderr.ts`). No worker thread, so nothing is lost at exit.
 */
import { styleText } from 'node:util';
import { pino } from 'pino';
import type { Log, LogFields } from '../base/index.ts';
import { LEVELS, type Level } from './levels.ts';
import { LineWriter } from './stderr.ts';

export interface FlushedLog extends Log {
  /** Everything said so far is written when this returns, as far as somebody reads it. */
  flush(): void;
}

const STDERR = 2;

export function makeLog(level: Level, isTerminal: boolean): FlushedLog {
  return isTerminal ? terminalLog(level) : jsonLog(level, new LineWriter(STDERR));
}

export function jsonLog(level: Level, lines: LineWriter): FlushedLog {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn(event, fields) {
      logger.warn(fields ?? {}, event);
      lines.flush();
    },
    error(event, fields) {
      logger.error(fields ?? {}, event);
      lines.flush();
    },
    flush: () => lines.flush(),
  };
}

const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const;

function terminalLog(least: Level): FlushedLog {
  const from = LEVELS.indexOf(least);
  const say = (level: Level) => (event: string, fields?: LogFields) => {
    if (LEVELS.indexOf(level) < from) return;
    const time = styleText('gray', new Date().toTimeString().slice(0, 8), { stream: process.stderr });
    const mark = styleText(COLOURS[level], level.padEnd(5), { stream: process.stderr });
    process.stderr.write(`${time} ${mark} ${event}${shown(fields)}\n`);
  };
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), flush() {} };
}

function shown(fields: LogFields | undefined): string {
  const pairs = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
  return pairs.map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('');
}
