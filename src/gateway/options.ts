/**
 * What the gateway is told and what it tells: plain data only, so that `config` can make it, `console` and `cli` can
 * show it, and tests can write it by hand. Every default has been applied before a value gets here; nothing in this
 * file is optional because "somebody will fill it in".
 */
import type { Log, Metrics } from '../base/index.ts';
import type { ReportLanguage } from '../mail/index.ts';
import type { Store } from '../store/index.ts';
import type { DeliveryRecord } from './record/deliveries.ts';

export { REPORT_LANGUAGES } from '../mail/index.ts';
export type * from './admin/port.ts';
export { type DeliveryRecord, fateOf, hopSilence } from './record/deliveries.ts';

// --- what the gateway is told -------------------------------------------------------------------------------------

export interface GatewayOptions extends GatewaySettings {
  readonly services: readonly ServiceOptions[];
  /** Open, and closed by whoever opened it after the gateway; without one all mail is relayed inline, one next hop a mail. */
  readonly store: Store | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  /** A callout server answers nothing any more, on one connection after the other: whoever runs it may want to end it. */
  readonly onSilent: (endpoint: CalloutEndpoint) => void;
}

/** All of it that the configuration file decides. Embedded services get their endpoints from whoever starts them. */
export interface GatewaySettings {
  readonly hostname: string;
  readonly system: SystemOptions;
  readonly listeners: readonly ListenerOptions[];
  /** In order; the first match wins. */
  readonly routes: readonly RouteOptions[];
  /** In order; each works on the result of the one before. */
  readonly pipeline: readonly PipelineEntry[];
  readonly queue: QueueOptions;
  readonly dns: DnsOptions;
  /** From the final dot to our reply, over services and next hop together. */
  readonly deadlineMs: number;
  /** Where content beyond `limits.memoryOctets` goes; exists, mode 0700. */
  readonly spillDir: string;
  readonly limits: GatewayLimits;
  readonly reports: ReportOptions;
  /** How many of the last mails are kept in memory for the console; 0: none. */
  readonly recentMails: number;
  /** Of each of them, how many octets of the mail as it came and as it left. */
  readonly recentOctets: number;
}

/** Where `nextHop: mx` looks hosts up. */
export interface DnsOptions {
  /** Undefined: those of `/etc/resolv.conf`. */
  readonly servers: readonly { readonly host: string; readonly port: number }[] | undefined;
  /** What they say of signatures is believed though they are not on this machine (decision 0026). */
  readonly trustAd: boolean;
}

/** Mail we answer for: the spool and the quarantine. */
export interface QueueOptions {
  /** `inline`: only mail that one transaction with a next hop cannot serve is stored. `spool`: all of it, before its 250. */
  readonly mode: 'inline' | 'spool';
  /** Waits before the second, third ... try; the last one repeats. At least one. */
  readonly retryMs: readonly number[];
  /** A delivery is given up, and its sender told, after this. */
  readonly lifetimeMs: number;
  /** The sender is told of a delay after this; undefined: never. */
  readonly warnAfterMs: number | undefined;
  /** Transactions with one destination at a time. */
  readonly perDestination: number;
  /** What is in quarantine is kept this long. */
  readonly keepMs: number;
  /** Recipients are told of what is kept aside for them. Without it the client is refused, and a copy kept (D18). */
  readonly notice: boolean;
}

export interface SystemOptions {
  /** Our identity in `OPES-System`. */
  readonly uri: string;
  readonly contact: string | undefined;
  readonly privacyPolicy: string | undefined;
}

/** Reports on mail that was accepted and did not arrive (RFC 3464). */
export interface ReportOptions {
  /** Where the mail does not tell its sender's; at least one. */
  readonly languages: readonly ReportLanguage[];
  /** What comes back where the sender did not say; never more than the header to a sender who may be forged. */
  readonly returnContent: 'headers' | 'full';
  /** Who is told of failures that nobody else may be told of: those of mail with a null reverse-path. */
  readonly postmaster: string | undefined;
  readonly perSenderPerHour: number;
}

export type Side = 'sender' | 'recipient';

export interface ListenerOptions {
  readonly name: string;
  readonly address: ListenAddress;
  readonly side: Side;
  /** LMTP (RFC 2033): clients hear one reply for each recipient behind the data. */
  readonly protocol: 'smtp' | 'lmtp';
  /** PEM, read when the configuration was loaded. `implicit`: TLS before the greeting. */
  readonly tls: (TlsKeys & { readonly implicit: boolean }) | undefined;
  /** No mail before TLS. */
  readonly requireTls: boolean;
  /** Who may log in; undefined: nobody can. */
  readonly auth: AuthOptions | undefined;
  /**
   * Whether it is a loopback address, which only this machine reaches. A Unix socket is not: who may open it is decided by its
   * mode, and who may relay there by `relayFrom` alone (decision 0057).
   */
  readonly isOnLoopback: boolean;
  /** Networks that may send anywhere (D14). Here and below `unix` stands for whoever opens the Unix socket. */
  readonly relayFrom: readonly string[];
  /** Where it is given, each connection begins with a PROXY header, and comes from these networks. */
  readonly proxyFrom: readonly string[] | undefined;
  /** Whose XCLIENT, and whose XFORWARD, is believed (D20). */
  readonly xclientFrom: readonly string[];
  readonly xforwardFrom: readonly string[];
  /** Peers that are believed when they say that they authorised a request to leave services out (D8). */
  readonly bypassFrom: readonly string[];
  readonly maxSizeOctets: number;
  readonly maxRecipients: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerPeer: number;
  /** Longest silence in a session. */
  readonly idleMs: number;
  /** `reject`: bare CR or LF in content is refused (the default, D11). */
  readonly bareNewline: 'reject';
}

export type ListenAddress =
  /** Port 0: any free port; `Gateway.listeners` says which. */
  { readonly kind: 'tcp'; readonly host: string; readonly port: number } | UnixListenAddress;

export interface UnixListenAddress {
  readonly kind: 'unix';
  /** Absolute. */
  readonly path: string;
  /** As chmod takes it. */
  readonly mode: number;
  /** The file's group; undefined: the process's own. */
  readonly gid: number | undefined;
}

/** For messages: `127.0.0.1:25`, `[::1]:25`, `unix:/run/opes/lmtp.sock`. */
export function showListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

export interface AuthOptions {
  readonly users: readonly UserOptions[];
  /** Passwords may come in the clear: on loopback, and said so. */
  readonly isClearAllowed: boolean;
}

export interface UserOptions {
  readonly name: string;
  readonly password: Argon2Hash | undefined;
  readonly scram: ScramKeys | undefined;
  /** Addresses, and domains with an `@` before them, that this login may send as. */
  readonly senders: readonly string[];
}

/** A password as argon2id has it (RFC 9106). */
export interface Argon2Hash {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/** What SCRAM-SHA-256 keeps in place of a password (RFC 5802, 3). */
export interface ScramKeys {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface TlsKeys {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface RouteOptions {
  /** Lower-case domain, `.example.com` (any domain below it) or `*`. */
  readonly to: string;
  readonly nextHop: NextHopAddress;
  readonly tls: TlsPolicy;
  /** PEM: who vouches for the next hop, in place of the well-known trust anchors. */
  readonly tlsCa: Buffer | undefined;
  /** The name its certificate must be for, where that is not the host. */
  readonly tlsName: string | undefined;
  /** How the next hop learns whose mail it is (D20). */
  readonly identity: IdentityMode;
  /** Our login there. */
  readonly auth: { readonly user: string; readonly password: string } | undefined;
}

export type NextHopAddress =
  | { readonly kind: 'smtp' | 'smtps' | 'lmtp'; readonly host: string; readonly port: number }
  | { readonly kind: 'lmtp-unix'; readonly path: string }
  /** Where the MX records of the recipient's domain say. */
  | { readonly kind: 'mx' };

/**
 * Towards the next hop. `none`: clear text. `may`: TLS where offered, with any certificate, else clear text. `require`: TLS
 * or no mail, with any certificate. `verify`: and a certificate that is the hop's. `dane` and `mta-sts` (routes by MX): what
 * the recipient's domain publishes decides.
 */
export const TLS_POLICIES = ['none', 'may', 'require', 'verify', 'dane', 'mta-sts'] as const;
export type TlsPolicy = (typeof TLS_POLICIES)[number];

export const IDENTITY_MODES = ['none', 'xclient', 'xforward', 'proxy'] as const;
export type IdentityMode = (typeof IDENTITY_MODES)[number];

/** For logs, records and pages: `10.0.0.5:25`, and what is not plain SMTP with its scheme. */
export function showNextHop(hop: NextHopAddress): string {
  if (hop.kind === 'mx') return 'mx';
  if (hop.kind === 'lmtp-unix') return `lmtp+unix:${hop.path}`;
  const place = hop.host.includes(':') ? `[${hop.host}]:${hop.port}` : `${hop.host}:${hop.port}`;
  return hop.kind === 'smtp' ? place : `${hop.kind}://${place}`;
}

/** One place where a callout server listens. The same shape as `Endpoint` of `ocp/net`. */
export type CalloutEndpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: CalloutTls }
  | { readonly kind: 'unix'; readonly path: string };

/** Mutual certificates (D10); without `ca` the system's own roots. */
export interface CalloutTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly serverName?: string;
}

export const PERMISSIONS = [
  'refuse',
  'tempfail',
  'quarantine',
  'add-header',
  'edit-header',
  'edit-content',
  'rewrite-sender',
  'rewrite-recipient',
  'rewrite-command',
  'add-recipient',
  'remove-recipient',
  'route',
  'delay',
  'notify',
] as const;
/** What the operator allows a service (D7). */
export type Permission = (typeof PERMISSIONS)[number];

/** `never`: no request to leave this service out is honoured, whoever makes it (D8). */
export type Bypassable = 'never' | 'allowed';

/** Commands outside of mails that a service may be asked about (decision 0051). `EHLO` is HELO and LHLO as well. */
export const COMMANDS = ['EHLO', 'VRFY', 'EXPN'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface ServiceRules {
  readonly name: string;
  /** Its identity in negotiation and trace. */
  readonly uri: string;
  readonly may: ReadonlySet<Permission>;
  /** What it is asked about beside mails, each in a short transaction of its own. */
  readonly commands: ReadonlySet<CommandName>;
  readonly bypassable: Bypassable;
  /** Why no mail goes without it, in words for operators; undefined where it may be left out. */
  readonly neverBecause: string | undefined;
  readonly consent: 'operator';
  /** How `Kept` is written to this server (D4). */
  readonly kept: 'structure' | 'pair' | 'off';
  /** Plain TCP to another machine is permitted (D10); the configuration has refused it otherwise. */
  readonly insecure: boolean;
}

export interface ServiceOptions extends ServiceRules {
  /** At least one; balanced, with failover. */
  readonly endpoints: readonly CalloutEndpoint[];
}

/** Parts of a dialog that services are offered; the names of the profile. */
export const PARTS = ['IP', 'EHLO', 'HELO', 'MAIL', 'RCPT', 'RAWDATA'] as const;
export type PartName = (typeof PARTS)[number] | 'VRFY' | 'EXPN';

export const FAILURE_REASONS = ['timeout', 'unreachable', 'crash', 'invalid', 'overload'] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];
/**
 * `quarantine` and `spool` take the mail and answer for it: kept aside for an operator, or tried again later without the
 * client.
 */
export type FailureAction = 'tempfail' | 'skip' | 'reject' | 'quarantine' | 'spool';

export interface PipelineEntry {
  /** Name of one of `services`. */
  readonly service: string;
  /** A rule (CEL), checked when the configuration was loaded; undefined: always. */
  readonly when: string | undefined;
  /** Parts the service must have selected; an NR without them is `invalid` (D6). */
  readonly requires: ReadonlySet<PartName>;
  /** Names of services of earlier entries whose work this one counts on: on request it is left out with them, and not they without it. */
  readonly buildsOn: readonly string[];
  readonly onFailure: Readonly<Record<FailureReason, FailureAction>>;
  /** Runs only while the service owes an answer. */
  readonly timeoutMs: number;
}

export interface GatewayLimits {
  /** Content of one mail kept in memory, and eight times as much for all of them; what is beyond goes to `spillDir`. */
  readonly memoryOctets: number;
  /** All spilled content together; beyond it MAIL gets 452 4.3.1. */
  readonly spillOctets: number;
  /** A header section longer than this is refused. */
  readonly headerOctets: number;
  /** `Received` fields beyond this are a loop: 554 5.4.6. */
  readonly maxHops: number;
  /** Connections to one next hop. */
  readonly nextHopConnections: number;
  /** Greetings, and look-ups, that services are asked about at a time: of all clients, and of one address. */
  readonly inquiries: number;
  readonly inquiriesPerPeer: number;
}

// --- what the gateway tells ---------------------------------------------------------------------------------------

/** The last mails, newest first. A small port: the console needs no more. */
export interface RecentMails {
  list(): readonly MailRecord[];
  find(id: string): MailRecord | undefined;
}

export interface ReplyRecord {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly text: readonly string[];
}

export interface MailRecord {
  /** `<session>.<n>`: the id of trace, reply and log. */
  readonly id: string;
  /** Time of day at MAIL, milliseconds since 1970. */
  readonly atMs: number;
  /** From MAIL to the reply. */
  readonly tookMs: number;
  readonly listener: string;
  readonly side: Side;
  readonly client: { readonly address: string; readonly helo: string; readonly tls: boolean };
  /** As the client sent it; '' is the null path. */
  readonly sender: string;
  /** As it was relayed, where a service rewrote it. */
  readonly relayedSender: string | undefined;
  readonly recipients: readonly RecipientRecord[];
  /** Octets of the content as it came and as it left. */
  readonly sizeBefore: number;
  readonly sizeAfter: number;
  /** The first `recentOctets` of the content as the client sent it and as the next hop got it; absent after a refusal before that. */
  readonly before: Uint8Array | undefined;
  readonly after: Uint8Array | undefined;
  readonly calls: readonly CallRecord[];
  readonly edits: readonly EditRecord[];
  /** Our trace fields as they left, one field an entry, unfolded, without line ends. */
  readonly trace: readonly string[];
  readonly nextHop:
    | {
        readonly address: string;
        /** Whether it was sent the content; else it was asked about recipients only. */
        readonly wasSent: boolean;
        /** Of what it took, for all recipients together. */
        readonly reply: ReplyRecord | undefined;
        readonly tookMs: number;
      }
    | undefined;
  /** What the client was told at the end; undefined where it went away before. */
  readonly reply: ReplyRecord | undefined;
  readonly outcome: MailOutcome;
  /** Of what was stored: how its deliveries ended so far, where that is known. */
  readonly deliveries: readonly DeliveryRecord[];
}

/** `stored`: taken into the spool or the quarantine, and answered for. */
export type MailOutcome = 'relayed' | 'stored' | 'refused' | 'tempfailed' | 'aborted';

export interface RecipientRecord {
  /** As the client sent it. */
  readonly address: string;
  /** As it was relayed, where a service rewrote it. */
  readonly relayedAs: string | undefined;
  readonly reply: ReplyRecord | undefined;
}

/** One service at one mail: called, or why not. */
export interface CallRecord {
  readonly service: string;
  readonly uri: string;
  readonly verdict: CallVerdict;
  /** In words for an operator: the rule that kept it out, the failure, the refusal's text. */
  readonly detail: string;
  /** Where it ran; undefined where it was not called. */
  readonly endpoint: string | undefined;
  /** Parts it was sent, in order. */
  readonly parts: readonly PartName[];
  /** While it owed an answer, in all. */
  readonly tookMs: number;
  readonly octetsSent: number;
  readonly octetsReceived: number;
}

export type CallVerdict =
  | 'unchanged'
  | 'changed'
  | 'refused'
  /** Had the mail kept aside, or shown to it again later. */
  | 'quarantined'
  | 'delayed'
  /** Failed, and its input went on: always marked in the trace. */
  | 'skipped'
  /** Failed, and the mail with it. */
  | 'failed'
  | 'bypassed'
  /** Its rule did not match. */
  | 'not-called';

/** What one service changed, in words a person can check. */
export interface EditRecord {
  readonly service: string;
  readonly part: PartName | 'HEADER';
  /** Such as `replaced 120 octets at 512 by 340`, `added X-Scanned`, `rewrote <a@b> to <c@d>`. */
  readonly what: string;
}

// --- opes check ---------------------------------------------------------------------------------------------------

/** A mail run through the real dispatcher and services; nothing is sent on. */
export interface CheckRequest {
  /** A listener's name; undefined: the first one. */
  readonly listener: string | undefined;
  readonly client: string;
  /** Who logged in; undefined: nobody. */
  readonly user: string | undefined;
  readonly helo: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Undefined: only the envelope is asked. Lines end with CRLF. */
  readonly content: Uint8Array | undefined;
}

export interface CheckReport {
  /** The dispatcher's decision: one entry a pipeline entry and stage, in order. */
  readonly decision: readonly DecisionRecord[];
  /** Where the mail would go, by recipient; `kept`: in place of that, or before it. */
  readonly routes: readonly {
    readonly recipient: string;
    readonly nextHop: string | undefined;
    readonly reply: ReplyRecord | undefined;
    readonly kept: KeptRecord | undefined;
  }[];
  /** What a client of an LMTP listener would be told of each accepted recipient; undefined on others, and before the content. */
  readonly each: readonly { readonly recipient: string; readonly reply: ReplyRecord }[] | undefined;
  /** Everything else, as the console shows it; `reply` is what the client would be told if the next hop took the mail. */
  readonly mail: MailRecord;
}

/** What becomes of a recipient that would be taken and not passed on at once. */
export interface KeptRecord {
  readonly where: 'spool' | 'quarantine' | 'report';
  /** In words: who wants it so, and why. */
  readonly what: string;
}

export interface DecisionRecord {
  readonly service: string;
  readonly stage: 'greeting' | 'envelope' | 'recipient' | 'data';
  readonly recipient: string | undefined;
  readonly called: boolean;
  /** Such as `no rule`, `rule true`, `rule false: listener.side == 'sender'`, `bypassed by ...`. */
  readonly because: string;
}
