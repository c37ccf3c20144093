/**
 * A banner on mail from outside: puts a notice at the top of the text that is shown, in the part's own charset and transfer
 * encoding, and leaves every other octet as it is. What it cannot do rightly it does not do, and says so in a field.
 */
import { asBuffer } from '../../base/index.ts';
import { defineService, edit, keep, type MessageVerdict, type RangeChange, type Service } from '../../callout/index.ts';
import { type MimePart, MimeScanner } from '../../mail/index.ts';
import { asAsciiHtml, htmlFor, type Notice } from './notice.ts';
import { editPart, HEAD_OCTETS } from './part-edit.ts';
import { findTargets } from './targets.ts';

export interface BannerOptions {
  /** The name it is called by. */
  readonly uri?: string;
  /** The notice; lines end with LF. Keep it in US-ASCII where mail in any charset is to carry it. */
  readonly text?: string;
  /** The same as HTML; made from `text` where absent. */
  readonly html?: string;
  /** Also on mail with a DKIM signature, which then does not verify any more behind this system (see the README). */
  readonly touchDkimSigned?: boolean;
  /** The field that says what was done, or `false` for none. */
  readonly noteField?: string | false;
}

const DEFAULT_TEXT =
  'CAUTION: This message came from outside the organisation. Do not follow links or open attachments unless you know the sender.';

/** The text of a mail begins near its start; parts whose beginning lies behind this get no banner. */
const PREFIX_OCTETS = 512 * 1024;

/**
 * Makes the service.
 * @example
 * serve([makeBanner({ text: 'From outside.', touchDkimSigned: true })], { listen: 'ocp://127.0.0.1:4037' });
 */
export function makeBanner(options: BannerOptions = {}): Service {
  const {
    uri = 'https://opes.example/services/banner',
    text = DEFAULT_TEXT,
    noteField = 'X-External-Banner',
  } = options;
  const notice: Notice = { text, html: asAsciiHtml(options.html ?? htmlFor(text)) };
  return defineService({
    uri,
    wants: { body: 'stream' },
    async message(mail, { log }): Promise<MessageVerdict> {
      const { root, prefix } = await scan(mail.content);
      const { ranges, said } = decide(root, prefix, notice, options.touchDkimSigned === true);
      log.debug('banner', { said });
      if (noteField === false) return ranges.length === 0 ? keep() : edit({ ranges });
      return edit({ headers: { add: [[noteField, said]] }, ranges });
    },
  });
}

export default makeBanner();

/** What is done to the message, and the words for it. */
function decide(
  root: MimePart,
  prefix: Buffer,
  notice: Notice,
  mayTouchDkim: boolean,
): { readonly ranges: readonly RangeChange[]; readonly said: string } {
  const { untouchable, parts } = findTargets(root, mayTouchDkim);
  if (untouchable !== undefined) return { ranges: [], said: `not added (${untouchable})` };
  const ranges: RangeChange[] = [];
  const left: string[] = [];
  for (const part of parts) {
    const isNear = part.bodyStart <= prefix.length;
    const head = prefix.subarray(part.bodyStart, Math.min(part.bodyEnd, part.bodyStart + HEAD_OCTETS));
    const edits = isNear ? editPart(part, head, notice) : 'too far behind';
    if (typeof edits === 'string') left.push(edits);
    else ranges.push(...edits);
  }
  const reasons = left.length === 0 ? '' : ` (${[...new Set(left)].join(', ')})`;
  if (ranges.length === 0) return { ranges, said: `not added${reasons}` };
  return { ranges, said: left.length === 0 ? 'added' : `added in part${reasons}` };
}

/** The message's parts, and its first octets. */
async function scan(content: AsyncIterable<Uint8Array>): Promise<{ readonly root: MimePart; readonly prefix: Buffer }> {
  const scanner = new MimeScanner();
  const kept: Buffer[] = [];
  let size = 0;
  for await (const chunk of content) {
    const octets = asBuffer(chunk);
    scanner.feed(octets);
    if (size < PREFIX_OCTETS) kept.push(octets.subarray(0, PREFIX_OCTETS - size));
    size += octets.length;
  }
  return { root: scanner.end(), prefix: Buffer.concat(kept) };
}
