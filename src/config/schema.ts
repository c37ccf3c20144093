/**
 * The configuration file, key by key: the form, the defaults and the meaning. Editors get it as `schema/opes.schema.json`
 * and readers as `docs/configuration.md`; both are generated from here, and a test says when they are not.
 *
 * What one value alone can tell is judged here; what two values say together, in `checks.ts`. A key that a later version
 * will serve is accepted in form and refused by name: a file is never obeyed in part.
 */
import { z } from 'zod';
import { REPORT_LANGUAGES } from '../gateway/options.ts';
import { DOMAIN, duration, hostPort, name, path, period, size, uri } from './forms.ts';
import { choice, count, flag, list, map, typeError, word } from './leaf.ts';
import { entry, service } from './schema-services.ts';
import { listener, route } from './schema-transport.ts';

const mailAddress = () =>
  word('an address', 'write a mail address, such as postmaster@example.com', /^[^\s@<>"]+@[^\s@<>"]+$/);

/** What useradd takes (its NAME_REGEX on Debian). */
const ACCOUNT = /^[a-z_][a-z0-9_-]{0,31}$/;

const system = map(
  {
    uri: uri().describe('Our identity in OPES-System: a page of yours that tells what is done to mail here.'),
    contact: mailAddress().optional().describe('Whom to write to about what was done to a mail.'),
    privacyPolicy: uri().optional().describe('The privacy statement of this system.'),
  },
  'a description of this system',
  'write system: { uri: https://mail.example.com/opes }',
);

const limits = map(
  {
    memory: size()
      .prefault('2MiB')
      .describe(
        'Content of one mail kept in memory, and eight times as much for all mails; the rest goes to files in the data directory.',
      ),
    spill: size().prefault('10GB').describe('All such files together; beyond it new mail gets 452.'),
    header: size().prefault('1MB').describe('Longest header section of a mail.'),
    hops: count('a number of hops', 1, 1000).prefault(50).describe('More Received fields than this are a loop: 554.'),
    nextHopConnections: count('a number of connections', 1, 10_000)
      .prefault(100)
      .describe('Connections to one next hop.'),
    inquiries: count('a number of commands', 1, 100_000)
      .prefault(500)
      .describe(
        'Greetings that services are asked about at one time (`services.NAME.commands`), and as many look-ups (VRFY, EXPN); any more get 451, and nobody is asked.',
      ),
    inquiriesPerPeer: count('a number of commands', 1, 100_000)
      .prefault(25)
      .describe('The same for the sessions of one address.'),
  },
  'a map of limits',
  'write limits: { memory: 2MiB }',
);

const queue = map(
  {
    mode: choice('a queue mode', ['inline', 'spool'])
      .prefault('inline')
      .describe(
        '`inline`: the client gets its 250 when the next hop gave one; only mail that one next hop cannot serve is stored. `spool`: every mail is stored before its 250.',
      ),
    retry: list(duration(), 'a list of durations', true, 'write retry: [5m, 15m, 1h]')
      .prefault(['5m', '10m', '20m', '40m', '1h', '2h', '4h'])
      .describe('Waits before the second, third ... try of a delivery; the last one repeats.'),
    lifetime: period().prefault('5d').describe('After this a delivery is given up, and its sender told.'),
    warnAfter: duration().prefault('4h').describe('After this the sender is told of the delay, once.'),
    perDestination: count('a number of connections', 1, 1000)
      .prefault(20)
      .describe('Mails on their way to one next hop at a time.'),
  },
  'queue settings',
  'write queue: { mode: inline }',
);

const quarantine = map(
  {
    keep: period().prefault('30d').describe('How long mail is kept aside before it is removed.'),
    notice: flag()
      .prefault(false)
      .describe(
        'Each recipient is told by mail of what is kept aside for them, and the client gets its 250. Without it the client is refused, and a copy kept.',
      ),
  },
  'quarantine settings',
  'write quarantine: { keep: 30d }',
);

const dns = map(
  {
    servers: list(hostPort(), 'a list of addresses', true, 'write servers: ["127.0.0.1:53"]')
      .optional()
      .describe('DNS servers that resolve for us, by address. Default: those of `/etc/resolv.conf`.'),
    trustAd: flag()
      .prefault(false)
      .describe(
        'Their word on DNSSEC (the AD bit) is believed though they are not on this machine; DANE needs it, or a resolver on loopback.',
      ),
  },
  'DNS settings',
  'write dns: { servers: ["127.0.0.1:53"] }',
);

const reports = map(
  {
    languages: list(choice('a language', REPORT_LANGUAGES), 'a list of languages', true, 'write languages: [en]')
      .prefault(['en'])
      .describe(
        "In which reports are written, one behind the other; where a mail tells its sender's language (Accept-Language, Content-Language), in that one.",
      ),
    returnContent: choice('a way to return mail', ['headers', 'full'])
      .prefault('headers')
      .describe(
        'What comes back of a mail whose sender did not say (RET). `full` and RET=FULL only serve authenticated or aligned senders, and mails up to 256 KiB.',
      ),
    postmaster: mailAddress()
      .optional()
      .describe('Who is told of undelivered mail that has no sender to tell (`MAIL FROM:<>`). Without it, the log is.'),
    perSenderPerHour: count('a number of reports', 1, 10_000)
      .prefault(20)
      .describe('Reports to one address in an hour; those beyond are counted and logged.'),
  },
  'report settings',
  'write reports: { languages: [en] }',
);

export const configSchema = map(
  {
    version: z
      .literal(1, {
        error: ({ input }) =>
          input === undefined
            ? `is missing\nwrite version: 1`
            : `this program reads version 1 only\nwrite version: 1${input === '1' ? ', without quotes' : ''}`,
      })
      .describe('Of this format.'),
    system: system.describe('Who we are, for senders and recipients who ask.'),
    hostname: word('a host name', 'write the full name of this machine, such as mx1.example.com', DOMAIN)
      .optional()
      .describe("Our name in greeting, EHLO and trace. Default: the machine's own."),
    dataDir: path().prefault('opes-data').describe('Where mails are kept while they are handled.'),
    store: word('a store', 'write sqlite, or postgres://USER@HOST/DATABASE', /^(?:sqlite$|postgres(?:ql)?:\/\/\S+$)/)
      .prefault('sqlite')
      .describe(
        'Where mail is kept that the gateway answers for: `sqlite` (in the data directory), or `postgres://user@host/db` for several gateways.',
      ),
    listeners: list(
      listener,
      'a list of listeners',
      true,
      'write listeners: [{ name: mx, address: "127.0.0.1:2525" }]',
    ).describe('Where mail comes in.'),
    routes: list(
      route,
      'a list of routes',
      true,
      'write routes: [{ to: example.com, nextHop: "smtp://10.0.0.5:25" }]',
    ).describe('Where mail goes; the first match wins, `*` comes last.'),
    services: z
      .record(name(), service, {
        error: typeError('a map of services', 'write services: { NAME: { uri: ..., connect: ... } }'),
      })
      .prefault({})
      .describe('The callout services, by name.'),
    pipeline: list(entry, 'a list of services', false)
      .prefault([])
      .describe('Which services a mail goes through, in order.'),
    deadline: duration()
      .prefault('4m')
      .describe('From the final dot to our answer, over services and next hop together; then 451.'),
    limits: limits.prefault({}).describe('Bounds on what one mail, and all of them, may take.'),
    queue: queue.prefault({}).describe('Mail the gateway answers for, and how long and how often it is tried.'),
    quarantine: quarantine.prefault({}).describe('Mail that is kept aside for an operator.'),
    dns: dns.prefault({}).describe('For routes by MX (`nextHop: mx`).'),
    reports: reports.prefault({}).describe('How senders are told of mail that we accepted and could not deliver.'),
    console: map(
      {
        address: hostPort().describe('On loopback only: who can open the page sees the mails.'),
        showMail: flag().prefault(false).describe('Also shows the content of the last mails, before and after.'),
        keep: count('a number of mails', 1, 10_000)
          .prefault(50)
          .describe('How many of the last mails are kept in memory for it.'),
      },
      'console settings',
      'write console: { address: "127.0.0.1:8025" }',
    )
      .optional()
      .describe('A page that shows what happened to the last mails. Without it there is none.'),
    metrics: map(
      {
        address: hostPort().describe('Where it listens: on loopback, unless `insecure` says otherwise.'),
        insecure: flag()
          .prefault(false)
          .describe('Permits another address: whoever reaches it reads figures and ids of mails, without a password.'),
      },
      'metrics settings',
      'write metrics: { address: "127.0.0.1:9464" }',
    )
      .optional()
      .describe('Serves `/metrics` (Prometheus), `/healthz` and `/readyz`. Without it there are none.'),
    user: word('a user name', 'write a user of this machine, such as opes', ACCOUNT)
      .optional()
      .describe(
        'Who to be once the ports are open, where opes is started as root. Under systemd leave it out: the unit says it.',
      ),
    group: word('a group name', 'write a group of this machine, such as opes', ACCOUNT)
      .optional()
      .describe("And the group. Default: the user's own."),
  },
  'a configuration',
  'write keys and values, starting with version: 1',
);

/** The file after the schema: every value read, every default in place. */
export type RawConfig = z.output<typeof configSchema>;
