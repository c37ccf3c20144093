/** The mail of a check, on its way through the real `Mail`: its envelope, its content, what is told of it in the end. */
import { isPositive, parseRcptArgument, type RcptCommand, type Reply, reply } from '../../smtp/index.ts';
import { isAccepted } from '../dialog/envelope.ts';
import { Mail } from '../dialog/mail.ts';
import { addressFacts } from '../dialog/mail-facts.ts';
import type { SessionView } from '../dialog/session-view.ts';
import type { MailWorld } from '../dialog/world.ts';
import { type CheckReport, type DecisionRecord, type MailRecord, showNextHop } from '../options.ts';
import { AcceptingRelay } from './accepting-relay.ts';
import { becomesLater, type TakesAll, withReason } from './kept.ts';
import { Replies } from './replies.ts';

type Route = CheckReport['routes'][number];

export class CheckedMail {
  readonly #world: MailWorld;
  readonly #spool: TakesAll;
  readonly #peer = new Replies();
  readonly #mail: Mail;
  readonly #routes: Omit<Route, 'kept'>[] = [];
  #record: MailRecord | undefined;

  constructor(world: MailWorld, session: SessionView, spool: TakesAll, sender: Mail['envelope']['command']) {
    this.#world = world;
    this.#spool = spool;
    const checked: MailWorld = {
      ...world,
      relay: new AcceptingRelay(),
      spool,
      keep: (kept) => {
        this.#record = kept;
      },
    };
    this.#mail = new Mail(checked, session, this.#peer, 1, sender, () => {});
  }

  /** `decision` gets a line for each recipient and step of the pipeline. Rejects where one of `to` is no address. */
  async envelope(to: readonly string[], decision: DecisionRecord[]): Promise<void> {
    const answer = await this.#peer.ask((ticket) => this.#mail.begin(ticket));
    if (!isPositive(answer)) return;
    for (const recipient of to) await this.#rcpt(recipient, decision);
  }

  async #rcpt(to: string, decision: DecisionRecord[]): Promise<void> {
    const command = rcptCommand(to);
    const plan = this.#world.dispatcher.atRecipient(this.#mail.facts, addressFacts(command.forwardPath), decision);
    const answer = await this.#peer.ask((ticket) => this.#mail.rcpt(command, ticket));
    const hop = plan?.route.nextHop;
    this.#routes.push({ recipient: to, nextHop: hop === undefined ? undefined : showNextHop(hop), reply: answer });
  }

  /** What rules that waited for the message say; nothing where it was not asked for. */
  async content(octets: Uint8Array): Promise<readonly DecisionRecord[]> {
    if (this.#accepted.length === 0) return [];
    const mail = this.#mail;
    const go = await this.#peer.ask((ticket) => mail.data(ticket));
    if (go.code !== 354) return [];
    mail.content(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength));
    await this.#peer.ask((ticket) => mail.contentEnd(ticket, false));
    const message = mail.messageFacts();
    return mail.envelope.recipients
      .filter(isAccepted)
      .flatMap(({ command }) =>
        this.#world.dispatcher.decideAtData(mail.facts, addressFacts(command.forwardPath), message),
      );
  }

  /** There is no content to be sent: what would become of it if it came is told as well. */
  noContent(): void {
    becomesLater(this.#mail, this.#spool.kept);
  }

  /** Ends it, and tells what came of it. */
  end(): Pick<CheckReport, 'routes' | 'each' | 'mail'> {
    this.#mail.reset('checked');
    const mail = this.#record;
    if (mail === undefined) throw new Error('the mail ended without a record');
    const { kept } = this.#spool;
    const routes = this.#routes.map((route) => ({
      ...route,
      kept: withReason(kept.get(route.recipient), mail.calls),
    }));
    return { routes, each: this.#each, mail };
  }

  get #accepted(): readonly Omit<Route, 'kept'>[] {
    return this.#routes.filter((route) => route.reply !== undefined && isPositive(asReply(route.reply)));
  }

  /** The last word on each recipient that was accepted, in their order. */
  get #each(): CheckReport['each'] {
    const accepted = this.#accepted;
    return this.#peer.each?.map((said, i) => ({ recipient: accepted[i]?.recipient ?? '', reply: said }));
  }
}

function rcptCommand(to: string): RcptCommand {
  const argument = `<${to}>`;
  const parsed = parseRcptArgument(argument);
  if (parsed.kind !== 'got')
    throw new Error(`'${to}' is no address (${parsed.kind === 'bad' ? parsed.rule : 'cut off'})`);
  return { argument, forwardPath: parsed.value.path, params: new Map() };
}

function asReply(from: {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly text: readonly string[];
}): Reply {
  return reply(from.code, from.enhanced, ...from.text);
}
