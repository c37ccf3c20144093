/** A new field as octets: encoded where it is not ASCII (RFC 2047) and folded (RFC 5322, section 2.2.3). */

import { encodeWords } from '../mail/index.ts';

/** Lines longer than this are folded where they have a space. */
const LINE_CHARACTERS = 78;
/** The whole field without its last CRLF. */
export function writeField(name: string, value: string): string {
  const text = value.trim();
  if (isPlain(text) && name.length + ': '.length + text.length <= LINE_CHARACTERS) {
    return text === '' ? `${name}:` : `${name}: ${text}`;
  }
  return fold(name, encodeText(text));
}

/** Whether nothing of `text` needs to be encoded, nor anyone to look closer. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < SP || code > TILDE || (code === EQUALS && text.charCodeAt(at + 1) === QUESTION)) return false;
  }
  return true;
}

const SP = 0x20;
const QUESTION = 0x3f;
const EQUALS = 0x3d;
const TILDE = 0x7e;

/**
 * Words beyond ASCII as encoded-words, neighbours together with the spaces between them; other words stay readable. A
 * text that already looks encoded is encoded too, for it would be decoded otherwise.
 */
function encodeText(text: string): string {
  if (!NEEDS_ENCODING.test(text)) return text;
  const out: string[] = [];
  let run: string[] = [];
  const close = (): void => {
    if (run.length > 0) out.push(encodeWords(run.join(' ')));
    run = [];
  };
  for (const word of text.split(' ')) {
    if (NEEDS_ENCODING.test(word)) {
      run.push(word);
    } else {
      close();
      out.push(word);
    }
  }
  close();
  return out.join(' ');
}

const NEEDS_ENCODING = /[^\t -~]|=\?/;

function fold(name: string, value: string): string {
  let line = `${name}:`;
  let folded = '';
  for (const word of value.split(' ')) {
    // A line of blanks only would end the header for lax readers: a line is closed only when it holds a word.
    if (line.length + 1 + word.length > LINE_CHARACTERS && word !== '' && line.trim() !== '' && line !== `${name}:`) {
      folded += `${line}\r\n`;
      line = '';
    }
    line += ` ${word}`;
  }
  return (folded + line).trimEnd();
}
