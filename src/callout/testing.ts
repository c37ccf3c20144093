/**
 * Tests for services, without a port: `run` gives one mail to a service through the real protocol, wired in memory, and
 * tells what came of it; `ask` does so with one command outside of mails.
 */
import type { Log, LogFields } from '../base/index.ts';
import type { KeptForm } from '../ocp/index.ts';
import type { Advice, Allow, Offered } from '../profile/index.ts';
import { HeaderCollector } from './header-collector.ts';
import { startClock } from './net/clock.ts';
import { belowTrace } from './plan.ts';
import { ServiceSet } from './server.ts';
import type { Service } from './service.ts';
import { type Piece, type TestMail, TestProcessor } from './test-processor.ts';

export interface RunOptions {
  /** The message. In a text, lines may end with LF, as they do in a source file; a `Buffer` is taken as it is. */
  readonly mail?: string | Uint8Array;
  /** The sender, with or without brackets; parameters may follow: `<a@b.example> SIZE=100`. */
  readonly from?: string;
  readonly to?: string | readonly string[];
  readonly ip?: string;
  readonly helo?: string;
  /** Recipients are given at once, as clients that pipeline do. */
  readonly pipelined?: boolean;
  /** What the processor keeps: `off` means that nothing can be answered by reference. */
  readonly kept?: KeptForm;
  /** What it takes beside octets; everything by default. */
  readonly allow?: Partial<Allow>;
  /** What it offers, for tests with processors that offer less. */
  readonly offered?: Offered;
  /** Octets of one fragment of the message. */
  readonly fragmentOctets?: number;
  /** Sizes the octets between the two ends are cut into: fixed, or asked for each piece. */
  readonly cut?: number | (() => number);
}

export interface RunResult {
  readonly outcome: 'kept' | 'changed' | 'refused' | 'quarantined' | 'delayed' | 'failed';
  /** The reply that refused the sender or the message. */
  readonly reply: string | undefined;
  /** What was said with `quarantine` or `delay`: the reason, and of a delay its seconds. */
  readonly advice: Advice | undefined;
  /** Why the transaction failed, as the processor is told; the cause is in `log`. */
  readonly failure: string | undefined;
  /** The sender as it goes on. */
  readonly sender: string;
  readonly recipients: readonly RecipientResult[];
  /** The message as it goes on, added fields included; empty where none goes on. */
  readonly message: Buffer;
  /** Fields the processor was asked to add. */
  readonly added: readonly string[];
  /** What differs from the message given, by its places there. */
  readonly edits: readonly { readonly start: number; readonly end: number; readonly data: Buffer }[];
  /** Octets of the message that were answered by reference. */
  readonly byReference: number;
  /** Octets of the message that were sent back or in place of others. */
  readonly sentBack: number;
  readonly log: readonly LogLine[];
}

export interface RecipientResult {
  /** As given. */
  readonly to: string;
  /** As it goes on, with its parameters; `undefined` where it was refused. */
  readonly path: string | undefined;
  readonly reply: string | undefined;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: LogFields;
}

const MAIL = 'From: steve@example.org\r\nTo: paul@example.com\r\nSubject: Test\r\n\r\nHi, this is a test!\r\n';

/** An operator who wants everything that a service can do. */
const OFFERED: Offered = {
  adaptive: ['EHLO', 'HELO', 'VRFY', 'EXPN', 'MAIL', 'RCPT', 'RAWDATA'],
  informative: ['IP'],
};

/**
 * Gives one mail to a service, or to several as one group.
 * @example
 * const { message, byReference } = await run(tag, { mail: 'Subject: Hello\n\nHi!\n' });
 * assert.match(message.toString(), /^X-Tag: /);
 */
export async function run(service: Service | readonly Service[], options: RunOptions = {}): Promise<RunResult> {
  return withServices(service, options, (mail, services, log) => runMail(mail, services, options, log));
}

/** What a service is asked outside of mails. */
export interface AskOptions extends Pick<RunOptions, 'ip' | 'helo' | 'kept' | 'allow' | 'offered' | 'cut'> {
  readonly command: 'EHLO' | 'HELO' | 'VRFY' | 'EXPN';
  /** What stands behind it. */
  readonly argument: string;
}

export interface AskResult {
  readonly outcome: 'kept' | 'changed' | 'refused' | 'failed';
  readonly reply: string | undefined;
  /** As it goes on. */
  readonly argument: string;
  /** Why the transaction failed; the cause is in `log`. */
  readonly failure: string | undefined;
  readonly log: readonly LogLine[];
}

/**
 * Asks a service, or several as one group, about one command outside of mails.
 * @example
 * const { outcome, reply } = await ask(guard, { command: 'EHLO', argument: 'localhost', ip: '192.0.2.138' });
 */
export async function ask(service: Service | readonly Service[], options: AskOptions): Promise<AskResult> {
  return withServices(service, options, (mail, _, log) => askCommand(mail, options, log));
}

async function withServices<Result>(
  service: Service | readonly Service[],
  options: Pick<RunOptions, 'kept' | 'allow' | 'offered' | 'cut'>,
  act: (mail: TestMail, services: readonly Service[], log: readonly LogLine[]) => Promise<Result>,
): Promise<Result> {
  const services: readonly Service[] = 'uri' in service ? [service] : service;
  const { cut = Number.POSITIVE_INFINITY } = options;
  const log: LogLine[] = [];
  const clock = startClock(20);
  try {
    const set = new ServiceSet(services, { deadlines: clock.deadlines, log: collectInto(log) });
    const processor = new TestProcessor(
      set,
      services.map(({ uri }) => uri),
      {
        offered: options.offered ?? OFFERED,
        kept: options.kept ?? 'structure',
        allow: { smtpError: true, addHeader: true, advice: true, ...options.allow },
        cut: typeof cut === 'number' ? () => cut : cut,
      },
    );
    return await act(await processor.open(), services, log);
  } finally {
    clock.stop();
  }
}

async function askCommand(mail: TestMail, options: AskOptions, log: readonly LogLine[]): Promise<AskResult> {
  const { command, argument } = options;
  await mail.command('IP', `[${options.ip ?? '192.0.2.138'}]`);
  const isLookUp = command === 'VRFY' || command === 'EXPN';
  if (isLookUp) await mail.command('EHLO', options.helo ?? 'client.example.org', { replayed: true });
  const piece = await mail.command(command, argument);
  const goesOn = textOf(piece, argument);
  const reply = piece?.answer.smtpError;
  const { result } = mail.isEnded ? await mail.ended : await mail.finish();
  if (result.code !== 200) return { outcome: 'failed', reply: undefined, argument, failure: result.reason, log };
  if (mail.broken.length > 0) throw new Error(`the service broke the protocol: ${mail.broken.join(', ')}`);
  if (reply !== undefined) return { outcome: 'refused', reply, argument, failure: undefined, log };
  const outcome = goesOn === argument ? 'kept' : 'changed';
  return { outcome, reply, argument: goesOn, failure: undefined, log };
}

async function runMail(
  mail: TestMail,
  services: readonly Service[],
  options: RunOptions,
  log: readonly LogLine[],
): Promise<RunResult> {
  const original = asOctets(options.mail ?? MAIL);
  const from = inBrackets(options.from ?? 'steve@example.org');
  // Who is asked about greetings was asked when this client came.
  const replayed = services.some(({ greeting }) => greeting !== undefined);
  await mail.command('IP', `[${options.ip ?? '192.0.2.138'}]`);
  await mail.command('EHLO', options.helo ?? 'client.example.org', { replayed });
  const sender = await mail.command('MAIL', from);
  const all = { sender: textOf(sender, from), log };
  const reply = sender?.answer.smtpError;
  if (reply !== undefined) {
    mail.transaction.end();
    return { ...NOTHING, ...all, outcome: 'refused', reply };
  }
  const recipients = await giveRecipients(mail, options);
  if (recipients.every(({ path }) => path === undefined)) {
    if (!mail.isEnded) mail.transaction.end();
    const { result } = await mail.ended;
    const hasFailed = result.code !== 200;
    return {
      ...NOTHING,
      ...all,
      recipients,
      outcome: hasFailed ? 'failed' : 'refused',
      failure: hasFailed ? result.reason : undefined,
    };
  }
  await mail.data(original, options.fragmentOctets);
  const { result } = await mail.finish();
  if (mail.broken.length > 0) throw new Error(`the service broke the protocol: ${mail.broken.join(', ')}`);
  if (result.code !== 200) return { ...NOTHING, ...all, recipients, outcome: 'failed', failure: result.reason };
  const refusal = mail.pieces.find(({ answer }) => answer.smtpError !== undefined)?.answer.smtpError;
  if (refusal !== undefined) return { ...NOTHING, ...all, recipients, outcome: 'refused', reply: refusal };
  const advice = mail.pieces.find((piece) => piece.answer.advice !== undefined)?.answer.advice;
  if (advice !== undefined) {
    const outcome = advice.kind === 'delay' ? 'delayed' : 'quarantined';
    return { ...NOTHING, ...all, recipients, outcome, advice };
  }
  return { ...NOTHING, ...all, recipients, ...assemble(mail, original) };
}

async function giveRecipients(
  mail: TestMail,
  { to = 'paul@example.com', pipelined = false }: RunOptions,
): Promise<readonly RecipientResult[]> {
  const given = typeof to === 'string' ? [to] : to;
  const answers: Promise<Piece | undefined>[] = [];
  for (const one of given) {
    const answer = mail.command('RCPT', inBrackets(one));
    answers.push(answer);
    if (!pipelined) await answer;
  }
  const pieces = await Promise.all(answers);
  return given.map((one, i) => {
    const piece = pieces[i];
    const reply = piece?.answer.smtpError;
    const isLost = reply !== undefined || (piece === undefined && mail.isEnded);
    return { to: one, path: isLost ? undefined : textOf(piece, inBrackets(one)), reply };
  });
}

const NOTHING: RunResult = {
  outcome: 'kept',
  reply: undefined,
  advice: undefined,
  failure: undefined,
  sender: '',
  recipients: [],
  message: Buffer.alloc(0),
  added: [],
  edits: [],
  byReference: 0,
  sentBack: 0,
  log: [],
};

/** The message from its pieces, as a gateway makes it. */
function assemble(
  mail: TestMail,
  original: Buffer,
): Omit<RunResult, 'reply' | 'advice' | 'failure' | 'sender' | 'recipients' | 'log'> {
  const { pieces } = mail;
  const added = pieces.flatMap(({ answer }) => answer.addHeaders);
  // A service that may not change the message says nothing to it.
  const octets = pieces.length === 0 ? original : Buffer.concat(pieces.map((piece) => mail.octetsOf(piece)));
  const uses = pieces.filter((piece) => piece.kind === 'use');
  const byReference = uses.reduce((sum, { size }) => sum + size, 0);
  const message = withFields(octets, added);
  return {
    outcome: message.equals(original) ? 'kept' : 'changed',
    message,
    added,
    edits: editsOf(mail, original.length),
    byReference,
    sentBack: pieces.reduce((sum, piece) => sum + (piece.kind === 'data' ? piece.octets.length : 0), 0),
  };
}

function editsOf({ pieces, messageBase }: TestMail, size: number): RunResult['edits'] {
  const edits: { start: number; end: number; data: Buffer }[] = [];
  let at = 0;
  let data: Buffer[] = [];
  const close = (to: number): void => {
    if (to > at || data.length > 0) edits.push({ start: at, end: to, data: Buffer.concat(data) });
    data = [];
  };
  for (const piece of pieces) {
    if (piece.kind === 'data') {
      if (piece.octets.length > 0) data.push(piece.octets);
      continue;
    }
    close(piece.offset - messageBase);
    at = piece.offset - messageBase + piece.size;
  }
  if (pieces.length > 0) close(size);
  return edits;
}

function withFields(octets: Buffer, added: readonly string[]): Buffer {
  if (added.length === 0) return octets;
  const collector = new HeaderCollector();
  collector.feed(octets);
  collector.end();
  const at = belowTrace(collector.headers);
  return Buffer.concat([
    octets.subarray(0, at),
    Buffer.from(added.map((field) => `${field}\r\n`).join('')),
    octets.subarray(at),
  ]);
}

function textOf(piece: Piece | undefined, given: string): string {
  return piece?.kind === 'data' ? piece.octets.toString() : given;
}

function inBrackets(path: string): string {
  return path.startsWith('<') ? path : `<${path}>`;
}

function asOctets(mail: string | Uint8Array): Buffer {
  return typeof mail === 'string' ? Buffer.from(mail.replace(/\r?\n/g, '\r\n')) : Buffer.from(mail);
}

function collectInto(lines: LogLine[]): Log {
  const at =
    (level: LogLine['level']) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
