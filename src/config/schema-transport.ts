/** Where mail comes in and where it goes: `listeners` and `routes`. */
import { duration, hostName, listenAddress, mode, name, networks, path, size } from './forms.ts';
import { choice, count, flag, leaf, map, word } from './leaf.ts';
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
    address: listenAddress().describe(
      'Where it listens: `host:port` (port 0 means any free one), or `unix:/path` for a Unix socket, as programs of this machine reach it (Postfix: `lmtp:unix:/path`). In the lists of networks below, `unix` stands for whoever opens that socket.',
    ),
    mode: mode()
      .optional()
      .describe(
        "Who may open the Unix socket, as chmod takes it. Without it `0660`: our own user and group. Set anew at each start; systemd's sockets have `SocketMode=`.",
      ),
    group: word('a group', 'write the name of a group of this machine', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/)
      .optional()
      .describe(
        "The Unix socket's group, such as `postfix`. Whoever runs opes is root or in that group. Without it our own.",
      ),
    side: choice('a side', ['sender', 'recipient'])
      .prefault('recipient')
      .describe(
        'Whose system this is: mail of our own users going out (sender), or mail coming in for them (recipient).',
      ),
    protocol: choice('a protocol', ['smtp', 'lmtp'])
      .prefault('smtp')
      .describe(
        'What is spoken: `lmtp` (RFC 2033) answers for each recipient behind the mail, as a mailbox server does, and is not for port 25. In `smtp` a client may ask for the same (PRDR).',
      ),
    tls: tls.optional().describe('Certificate chain and key (PEM files): offers STARTTLS.'),
    maxSize: size().prefault('50MB').describe('Largest mail taken, announced as SIZE.'),
    maxRecipients: count('a number of recipients', 1, 10_000)
      .prefault(100)
      .describe('Recipients of one mail; more get 452.'),
    maxConnections: count('a number of connections', 1, 100_000).prefault(1000).describe('Sessions at one time.'),
    maxConnectionsPerPeer: count('a number of connections', 1, 100_000)
      .prefault(50)
      .describe('Sessions of one address at one time. Peers on a Unix socket have none: only `maxConnections` counts.'),
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
      .describe(
        'No mail without TLS. `false`, written out on a loopback address or a Unix socket, permits passwords without TLS, too.',
      ),
    relayFrom: networks()
      .prefault([])
      .describe(
        'Networks that may send anywhere without logging in. `[unix]`: whoever may open the Unix socket; without it nobody there may.',
      ),
    proxy: choice('a PROXY mode', ['forbidden', 'required'])
      .prefault('forbidden')
      .describe('Whether a PROXY header (HAProxy, version 1 or 2) opens each connection. It is never guessed.'),
    proxyFrom: networks()
      .prefault([])
      .describe('The proxies (`[unix]` on a Unix socket); with `proxy: required`, nobody else is served.'),
    xclientFrom: networks()
      .prefault([])
      .describe('Peers whose XCLIENT is believed: they may name any client, and any login.'),
    xforwardFrom: networks()
      .prefault([])
      .describe(
        'Peers whose XFORWARD is believed, such as a Postfix with `smtpd_proxy_filter`: for rules, services and trace, never for permissions.',
      ),
    bypassFrom: networks()
      .prefault([])
      .describe(
        'Peers whose word counts that they authorised a request to leave services out (`OPESAUTH`), such as the gateway of your submission host. Without it only who logged in on a `side: sender` listener may ask, and of nobody a service that is `bypassable: never`.',
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
    nextHop: leaf(
      'a next hop',
      'write smtp://HOST:PORT (or smtps://, lmtp://, lmtp+unix:/PATH), mx (hosts by DNS), or mailbox (keeps mails as files, for trying out)',
      readNextHop,
    ).describe(
      'Where the mail goes: `smtp://host:25`; `smtps://host:465` (TLS from the start); `lmtp://host:port` or `lmtp+unix:/path` (LMTP, as mailbox servers speak it); `mx`: the mail hosts that DNS names for the domain of the recipient, for clients who may relay; `mailbox`: kept as files in the data directory, for trying out.',
    ),
    tls: choice('a TLS policy', ['none', 'may', 'require', 'verify', 'dane', 'mta-sts'])
      .optional()
      .describe(
        "`none`: never. `may`: where the next hop offers it, with any certificate, else in the clear. `require`: TLS or no mail (451), any certificate. `verify`: TLS with a certificate that is the next hop's, or no mail. By `mx` also `dane` (as the domain's TLSA records demand, else like `may`) and `mta-sts` (that, or the domain's MTA-STS policy). Without it: `dane` for `mx`, `verify` for `smtps://` and where there is `auth`, `none` on a Unix socket, else `may`.",
      ),
    tlsCa: path()
      .optional()
      .describe('PEM file of who vouches for the next hop, in place of the well-known ones. For `tls: verify`.'),
    tlsName: hostName()
      .optional()
      .describe('The name its certificate is for, where that is not the host of `nextHop`. For `tls: verify`.'),
    identity: choice('an identity mode', ['none', 'xclient', 'xforward', 'proxy'])
      .prefault('none')
      .describe(
        "How the next hop learns the client's address and name: `xclient` (it judges the client as if it stood before it), `xforward` (for its log and rules), `proxy` (a PROXY protocol header, version 2). It must expect that from us.",
      ),
    auth: map(
      {
        user: word(
          'a user name',
          'write the name under which the next hop knows us',
          /^[^\x00-\x1f\x7f]{1,255}$/,
        ).describe('Our name at the next hop.'),
        passwordFile: path().describe(
          'A file that holds the password and nothing else, not readable by others (mode 600).',
        ),
      },
      'a login',
      'write auth: { user: opes, passwordFile: relay.password }',
    )
      .optional()
      .describe(
        'Our login at the next hop (SCRAM-SHA-256, PLAIN or LOGIN, the best it offers). Needs TLS, except on loopback.',
      ),
  },
  'a route',
  'write { to: example.com, nextHop: "smtp://10.0.0.5:25" }',
);
