/** Passwords as people and scripts give them: typed without being shown, or the first line of stdin. */
import type { Readable, Writable } from 'node:stream';
import { EXIT, Failure } from '../exit.ts';

/** More is no password. */
const MAX_OCTETS = 4096;

/** The stream of a terminal; raw mode keeps it from showing what is typed. */
export interface Terminal extends Readable {
  setRawMode(isRaw: boolean): unknown;
}

const ENTER = /[\r\n]/;
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_U = '\x15';
const ERASE = /[\x08\x7f]/;

export async function readHidden(question: string, terminal: Terminal, say: Writable): Promise<string> {
  say.write(question);
  terminal.setRawMode(true);
  terminal.setEncoding('utf8');
  try {
    let typed: string[] = [];
    for (;;) {
      for (const key of await nextChunk(terminal)) {
        if (ENTER.test(key) || key === CTRL_D) return typed.join('');
        if (key === CTRL_C) throw new Failure('given up; nothing was made', EXIT.usage);
        if (key === CTRL_U) typed = [];
        else if (ERASE.test(key)) typed.pop();
        else if (typed.length < MAX_OCTETS) typed.push(key);
      }
    }
  } finally {
    terminal.setRawMode(false);
    terminal.pause();
    say.write('\n');
  }
}

async function nextChunk(terminal: Readable): Promise<string> {
  return await new Promise((resolve, reject) => {
    // Paused until the next one is asked for: what comes in between would be nobody's.
    const done = () => {
      terminal.pause();
      terminal.removeListener('data', onData);
      terminal.removeListener('end', onEnd);
    };
    const onData = (chunk: string) => {
      done();
      resolve(chunk);
    };
    const onEnd = () => {
      done();
      reject(new Failure('the terminal is gone', EXIT.usage));
    };
    terminal.on('data', onData);
    terminal.on('end', onEnd);
    terminal.resume();
  });
}

/** Without its line end. */
export async function readLine(input: Readable): Promise<string> {
  let text = '';
  input.setEncoding('utf8');
  for await (const chunk of input) {
    text += String(chunk);
    if (text.includes('\n') || text.length > MAX_OCTETS) break;
  }
  const [line = ''] = text.split(/\r?\n/, 1);
  if (Buffer.byteLength(line) > MAX_OCTETS) throw new Failure('the first line of stdin is no password', EXIT.usage);
  return line;
}
