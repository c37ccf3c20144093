/**
 * Golden dialogs: a transcript that can be read aloud, run against a peer. A line is one of
 *
 *     # text                    for the reader
 *     O: name value             an option of the peer, before the first word
 *     C: line                   the client sends the line and CRLF
 *     C> octets                 the client sends these octets: \r \n \t \\ \xHH are escapes, and nothing is added
 *     S: line                   the server says exactly this line
 *     S~ start                  the server says a line that starts so
 *     H: words                  something else happens, in the peer's own words
 *     = words                   something is so, in the peer's own words
 *
 * C lines one behind the other are sent at once. Before anything but an S line, and at the end, the server must have
 * said no more than the S lines show.
 */
export interface DialogPeer {
  send(octets: Buffer): void;
  /** What the server said since the last call. */
  heard(): string;
  happens(words: string): void;
  /** What is not as `words` say, if anything. */
  check(words: string): string | undefined;
}

export interface DialogLine {
  readonly number: number;
  readonly kind: 'O' | 'C' | 'S' | 'S~' | 'H' | '=';
  readonly text: string;
}

export function readDialog(text: string): DialogLine[] {
  return text.split('\n').flatMap((line, i): DialogLine[] => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const m = /^(O:|C:|C>|S:|S~|H:|=) ?(.*)$/.exec(line);
    if (m === null) throw new Error(`line ${i + 1}: not a line of a dialog: ${line}`);
    const [, mark = '', rest = ''] = m;
    const number = i + 1;
    if (mark === 'C:') return [{ number, kind: 'C', text: `${unescaped(rest)}\r\n` }];
    if (mark === 'C>') return [{ number, kind: 'C', text: unescaped(rest) }];
    if (mark === 'S~') return [{ number, kind: 'S~', text: rest }];
    return [{ number, kind: mark.replace(':', '') as 'O' | 'S' | 'H' | '=', text: rest }];
  });
}

/** The first thing that went otherwise, or nothing. `cut` says in which chunks the client's octets come. */
export function runDialog(
  lines: readonly DialogLine[],
  peer: DialogPeer,
  cut: (octets: Buffer) => readonly Buffer[] = (octets) => [octets],
): string | undefined {
  let said = '';
  let toSend = '';
  const sendAll = (): void => {
    if (toSend === '') return;
    for (const chunk of cut(Buffer.from(toSend, 'latin1'))) peer.send(chunk);
    toSend = '';
  };
  for (const [i, line] of lines.entries()) {
    if (line.kind === 'O') continue;
    const isFirstOfMany = line.kind === 'C' && lines[i - 1]?.kind !== 'C';
    if (line.kind !== 'C') sendAll();
    said += peer.heard();
    if (line.kind === 'S' || line.kind === 'S~') {
      const end = said.indexOf('\r\n');
      if (end < 0) return `line ${line.number}: expected "${line.text}", the server said nothing`;
      const heard = said.slice(0, end);
      said = said.slice(end + 2);
      const isSo = line.kind === 'S' ? heard === line.text : heard.startsWith(line.text);
      if (!isSo) return `line ${line.number}: expected "${line.text}", the server said "${heard}"`;
      continue;
    }
    if (said !== '' && (line.kind !== 'C' || isFirstOfMany)) {
      return `line ${line.number}: the server said more than expected: ${JSON.stringify(said)}`;
    }
    if (line.kind === 'C') toSend += line.text;
    else if (line.kind === 'H') peer.happens(line.text);
    else {
      const wrong = peer.check(line.text);
      if (wrong !== undefined) return `line ${line.number}: ${wrong}`;
    }
  }
  sendAll();
  said += peer.heard();
  return said === '' ? undefined : `at the end the server said more than expected: ${JSON.stringify(said)}`;
}

function unescaped(text: string): string {
  return text.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (whole, hex: string | undefined, letter: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    const found = { r: '\r', n: '\n', t: '\t', '\\': '\\' }[letter ?? ''];
    if (found === undefined) throw new Error(`unknown escape ${whole}`);
    return found;
  });
}
