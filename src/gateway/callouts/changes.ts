/**
 * What one service made of the message, judged before anybody else sees any of it: what changed is held against its
 * permissions, line ends against smuggling, a rewritten header section against the fields nobody may touch. Our trace block
 * is taken off. An answer that goes too far is refused whole, and counts as a failure of its service (design D7).
 */
import { compareContents, isWholeHeader, loadHeader } from '../content/compare.ts';
import { Content, FixedOctets } from '../content/index.ts';
import { hasBareNewline } from '../content/line-check.ts';
import { verifyTrace } from '../trace/index.ts';
import type { Call } from './call.ts';
import type { DataOutcome } from './data-exchange.ts';
import { missingForChanges } from './permissions.ts';
import type { RunMail } from './run-mail.ts';

/** The data on its way, as the judgement of one answer sees it. */
export interface JudgedWalk {
  readonly mail: JudgedMail;
  /** Our block on top of what the service was shown. */
  readonly block: FixedOctets;
  /** The same message without it. */
  readonly base: Content;
  /** Nothing is waited for any more. */
  readonly isReleased: boolean;
  /** The answer stands: `base`, without our block, is what the next service gets. */
  goOnWith(base: Content): void;
  afterFailure(call: Call): void;
}

/** Its mail: what services may not touch, and who hears of faults met while octets are read. */
export interface JudgedMail extends Pick<RunMail, 'storeFailed' | 'onFault'> {
  readonly maxHeaderOctets: number;
  /** The protected fields the message came with. */
  readonly olderTrace: Buffer;
}

type Adapted = Extract<DataOutcome, { readonly kind: 'adapted' }>;

/** `input`: what the service was shown. Ends in `goOnWith` or `afterFailure`, at once or when the octets were read. */
export function judgeChanges(walk: JudgedWalk, call: Call, input: Content, { output, addHeaders }: Adapted): void {
  compareContents(
    input,
    output,
    maxHeader(walk),
    whenRead(walk, (changes) => {
      const missing = missingForChanges(call.planned.step.service.options.may, changes);
      if (missing !== undefined) {
        call.run.declareInvalid(`no permission: ${missing}`);
        walk.afterFailure(call);
        return;
      }
      if (!changes.header && !changes.body) {
        call.took(addHeaders.length > 0 ? 'header-added' : 'unchanged');
        walk.goOnWith(withAddedFields(addHeaders, walk.base));
      } else judgeLines(walk, call, output, addHeaders, changes.header);
    }),
  );
}

/** The largest section a message may have, with our block on top of it. */
function maxHeader({ mail, block }: JudgedWalk): number {
  return mail.maxHeaderOctets + block.size;
}

/** What is read may come from the disk, at any time, and out of nobody's call: what follows from it is this mail's alone. */
function whenRead<Value>(
  walk: JudgedWalk,
  then: (value: Value) => void,
): (error: Error | undefined, value: Value) => void {
  return (error, value) => {
    if (walk.isReleased) return;
    try {
      if (error === undefined) then(value);
      else walk.mail.storeFailed(error);
    } catch (fault) {
      walk.mail.onFault(fault);
    }
  };
}

function judgeLines(
  walk: JudgedWalk,
  call: Call,
  output: Content,
  addHeaders: readonly string[],
  isHeaderChanged: boolean,
): void {
  hasBareNewline(
    output,
    whenRead(walk, (has) => {
      if (has) {
        call.run.declareInvalid('bare CR or LF in the adapted content');
        walk.afterFailure(call);
      } else if (isHeaderChanged) judgeHeader(walk, call, output, addHeaders);
      else {
        call.took('edited');
        walk.goOnWith(withAddedFields(addHeaders, withoutStart(output, walk.block.size)));
      }
    }),
  );
}

/** Whoever rewrites a header section may have touched what nobody may touch (REQ-036); what is not seen cannot be judged. */
function judgeHeader(walk: JudgedWalk, call: Call, output: Content, addHeaders: readonly string[]): void {
  const { mail, block } = walk;
  loadHeader(
    output,
    maxHeader(walk),
    whenRead(walk, (header) => {
      if (!isWholeHeader(header, output)) {
        call.run.declareInvalid('header-size');
        walk.afterFailure(call);
        return;
      }
      call.took('edited');
      const check = verifyTrace({ block: block.octets, older: mail.olderTrace }, header);
      if (check.repaired === undefined) {
        walk.goOnWith(withAddedFields(addHeaders, withoutStart(output, block.size)));
        return;
      }
      call.traceRepaired(check.missing ?? 0, check.foreign ?? 0);
      const rest = new FixedOctets(Buffer.from(check.repaired.subarray(block.size)));
      const base = new Content();
      base.append(rest, 0, rest.size);
      base.appendRange(output, header.length, output.size - header.length);
      walk.goOnWith(withAddedFields(addHeaders, base));
    }),
  );
}

/** Fields added by a service stand right below our trace block, in the order given (profile notes, question 14). */
export function withAddedFields(fields: readonly string[], base: Content): Content {
  if (fields.length === 0) return base;
  let text = '';
  for (const field of fields) text += `${field}\r\n`;
  const octets = new FixedOctets(Buffer.from(text, 'latin1'));
  const out = new Content();
  out.append(octets, 0, octets.size);
  out.appendRange(base, 0, base.size);
  return out;
}

function withoutStart(content: Content, size: number): Content {
  const out = new Content();
  out.appendRange(content, size, content.size - size);
  return out;
}
