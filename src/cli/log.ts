/**
 * Logs on stderr: one JSON object a line, or short lines for a person where stderr is a terminal. A line of `warn`
 * or `error` is out at once, others within a moment (`stderr.ts`). No worker thread, so nothing is lost at exit.
 */
import { styleText } from 'node:util';
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

export function jsonLog(least: Level, lines: LineWriter): FlushedLog {
  const from = LEVELS.indexOf(least);
  const time = new TimeText();
  const say = (level: Level) => {
    const head = `{"level":"${level}","time":"`;
    if (LEVELS.indexOf(level) < from) return ignore;
    return (event: string, fields?: LogFields): void => {
      const rest = fields === undefined ? '}' : fieldsText(fields);
      lines.write(`${head}${time.now()}","event":${JSON.stringify(event)}${rest}\n`);
      if (level === 'warn' || level === 'error') lines.flush();
    };
  };
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), flush: () => lines.flush() };
}

/** What follows the event: the fields that have a value, and the closing brace. */
function fieldsText(fields: LogFields): string {
  let text: string;
  try {
    text = JSON.stringify(fields);
  } catch {
    // A value that JSON cannot say (a cycle, a bigint) is a fault of ours; the line is still wanted.
    return ',"unwritable":true}';
  }
  return text === '{}' ? '}' : `,${text.slice(1)}`;
}

/** The time of day, made once a millisecond. */
class TimeText {
  #ms = 0;
  #text = '';

  now(): string {
    const ms = Date.now();
    if (ms !== this.#ms) {
      this.#ms = ms;
      this.#text = new Date(ms).toISOString();
    }
    return this.#text;
  }
}

function ignore(): void {}

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
