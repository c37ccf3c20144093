/**
 * `opes check`: one mail through the real dispatcher, rules and services, with a next hop that takes everything and sends
 * nothing on. What is reported is what the mail's own record says, so that the check cannot drift from the real thing.
 */
import { type MailCommand, parseMailArgument } from '../../smtp/index.ts';
import { submissionRefusal } from '../auth/submission.ts';
import { Inquiry, type InquiryAnswer } from '../dialog/inquiry.ts';
import { makeSessionView, type SessionOrigin } from '../dialog/session-view.ts';
import type { MailWorld } from '../dialog/world.ts';
import type { CheckReport, CheckRequest, DecisionRecord, GatewayOptions, ListenerOptions } from '../options.ts';
import { CheckedMail } from './checked-mail.ts';
import { TakesAll } from './kept.ts';

/** Rejects, with a message for whoever asked, where there would be no mail: an unknown listener, no address, a refusal before it. */
export async function checkMail(
  world: MailWorld,
  { listeners, queue }: Pick<GatewayOptions, 'listeners' | 'queue'>,
  request: CheckRequest,
): Promise<CheckReport> {
  const listener = listenerOf(listeners, request.listener);
  const presented: SessionOrigin = {
    id: 'check',
    listener,
    clientAddress: request.client,
    verb: 'EHLO',
    helo: request.helo,
    tls: false,
    user: request.user ?? '',
  };
  const decision: DecisionRecord[] = [];
  const { greeting, calls } = await greet(world, presented, decision);
  const session = makeSessionView(world.hostname, { ...presented, greeting });
  const checked = new CheckedMail(world, session, new TakesAll(queue), senderOf(listener, request));
  await checked.envelope(request.to, decision);
  const { content } = request;
  const atData = content === undefined ? [] : await checked.content(content);
  if (content === undefined) checked.noContent();
  const { routes, each, mail } = checked.end();
  // With the message at hand there is an answer to what was left open at the recipients.
  const isJudged = ({ stage }: DecisionRecord): boolean => atData.length > 0 && stage === 'data';
  return {
    decision: [...decision.filter((one) => !isJudged(one)), ...atData],
    routes,
    each,
    mail: {
      ...mail,
      calls: [...calls.map((call) => call.record()), ...mail.calls],
      edits: [...calls.flatMap((call) => call.editRecords()), ...mail.edits],
    },
  };
}

/** The first one where none is named. */
function listenerOf(listeners: readonly ListenerOptions[], name: string | undefined): ListenerOptions {
  const listener = name === undefined ? listeners[0] : listeners.find((one) => one.name === name);
  if (listener === undefined) throw new Error(`there is no listener '${name}'`);
  return listener;
}

/** Refused as MAIL would be where the client may not send in that name. */
function senderOf(listener: ListenerOptions, { from, user: name = '', client }: CheckRequest): MailCommand {
  const argument = `<${from}>`;
  const parsed = parseMailArgument(argument);
  if (parsed.kind !== 'got')
    throw new Error(`'${from}' is no address (${parsed.kind === 'bad' ? parsed.rule : 'cut off'})`);
  const reversePath = parsed.value.path;
  const user = listener.auth?.users.find((one) => one.name === name);
  const refusal = submissionRefusal(listener, { name, user, peerAddress: client }, reversePath);
  if (refusal !== undefined) {
    const said = `${refusal.code} ${refusal.enhanced} ${refusal.text[0]}`;
    throw new Error(`MAIL from this client is refused on listener "${listener.name}": ${said}`);
  }
  return { argument, reversePath, params: new Map() };
}

/** What services that are asked about EHLO make of it. Rejects where the client would not get as far as a mail. */
async function greet(
  world: MailWorld,
  presented: SessionOrigin,
  decision: DecisionRecord[],
): Promise<Pick<SessionOrigin, 'greeting'> & Pick<Inquiry, 'calls'>> {
  const view = makeSessionView(world.hostname, presented);
  const steps = world.dispatcher.atCommand('EHLO', view.facts, decision);
  if (steps.length === 0) return { greeting: undefined, calls: [] };
  const { promise, resolve } = Promise.withResolvers<InquiryAnswer>();
  const facts = view.parts.filter(([part]) => part === 'IP');
  const inquiry = new Inquiry(world, view, 0, { part: 'EHLO', argument: view.helo, facts }, steps, resolve);
  inquiry.ask();
  const answer = await promise;
  if (answer.kind === 'passed') return { greeting: { helo: answer.argument, via: answer.via }, calls: inquiry.calls };
  const { code, enhanced, text } = answer.reply;
  throw new Error(`EHLO ${presented.helo} from this client is refused: ${code} ${enhanced} ${text.join(' / ')}`);
}
