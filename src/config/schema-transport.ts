/** Where mail comes in and where it goes: `listeners` and `routes`. */
import { duration, hostPort, name, networks, path, size } from './forms.ts';
import { choice, count, flag, later, laterChoice, leaf, map, word } from './leaf.ts';
import { readNextHop } from './units.ts';

const tls = map(
  {
    cert: path().describe('The chain, our certificate first.'),
    key: path().describe('Its private key.'),
    implicit: flag().prefault(false).describe('TLS before the greeting (port 465) in place of STARTTLS.'),
  },
  'a certificate',
  'write tls: { cert: mx.pem, key: mx.key }',
);

export const listener = map(
  {
    name: name().describe('Its name in rules, logs and the ready line.'),
    address: hostPort().describe('Where it listens; port 0 means any free one.'),
    side: choice('a side', ['sender', 'recipient'])
      .prefault('recipient')
      .describe(
        'Whose system this is: mail of our own users going out (sender), or mail coming in for them (recipient).',
      ),
    tls: tls.optional().describe('Certificate chain and key (PEM files): offers STARTTLS.'),
    maxSize: size().prefault('50MB').describe('Largest mail taken, announced as SIZE.'),
    maxRecipients: count('a number of recipients', 1, 10_000)
      .prefault(100)
      .describe('Recipients of one mail; more get 452.'),
    maxConnections: count('a number of connections', 1, 100_000).prefault(1000).describe('Sessions at one time.'),
    maxConnectionsPerPeer: count('a number of connections', 1, 100_000)
      .prefault(50)
      .describe('Sessions of one address at one time.'),
    idleTimeout: duration().prefault('5m').describe('Longest silence of a client before it gets 421.'),
    bareNewline: choice('a way to treat bare line ends', ['reject'])
      .prefault('reject')
      .describe('A CR or LF alone in a mail is refused: what two servers read differently can hide a second mail.'),
    auth: path()
      .optional()
      .describe(
        'File of users who may log in (AUTH); `opes user NAME` prints an entry. On a `side: sender` listener only they send, as themselves, and `relayFrom`.',
      ),
    requireTls: flag()
      .optional()
      .describe('No mail without TLS. `false`, written out on a loopback address, permits passwords without TLS, too.'),
    relayFrom: networks().prefault([]).describe('Networks that may send anywhere without logging in.'),
    proxy: choice('a PROXY mode', ['forbidden', 'required'])
      .prefault('forbidden')
      .describe('Whether a PROXY header (HAProxy, version 1 or 2) opens each connection. It is never guessed.'),
    proxyFrom: networks().prefault([]).describe('The proxies; with `proxy: required`, nobody else is served.'),
    xclientFrom: networks()
      .prefault([])
      .describe('Peers whose XCLIENT is believed: they may name any client, and any login.'),
    xforwardFrom: networks()
      .prefault([])
      .describe(
        'Peers whose XFORWARD is believed, such as a Postfix with `smtpd_proxy_filter`: for rules, services and trace, never for permissions.',
      ),
  },
  'a listener',
  'write { name: mx, address: "127.0.0.1:2525" }',
);

export const route = map(
  {
    to: word(
      'a domain',
      'write a domain, ".example.com" for all below it, or "*"',
      /^(?:\*|\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/,
    ).describe('The recipient domain; `.example.com` means all below it, `*` any.'),
    nextHop: later(
      leaf('a next hop', 'write smtp://HOST:PORT, or mailbox (keeps mails as files, for trying out)', readNextHop),
      'delivery by MX records',
      { when: (hop) => hop.kind === 'mx', fix: 'write smtp://HOST:PORT of a server that delivers' },
    ).describe(
      'Where the mail goes: `smtp://host:port`, or `mailbox`: kept as files in the data directory, for trying out.',
    ),
    tls: choice('a TLS mode', ['may', 'none'])
      .prefault('may')
      .describe('`may`: STARTTLS where the next hop offers it.'),
    identity: laterChoice(
      'an identity mode',
      ['none'],
      ['xclient', 'xforward', 'proxy'],
      "passing on the client's identity",
    )
      .optional()
      .describe("How the next hop learns the client's address. Only `none` yet."),
  },
  'a route',
  'write { to: example.com, nextHop: "smtp://10.0.0.5:25" }',
);
