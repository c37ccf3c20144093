/** What is done to mail on its way: `services` and `pipeline`. */
import { z } from 'zod';
import { COMMANDS, type FAILURE_REASONS, PARTS, PERMISSIONS } from '../gateway/options.ts';
import { DOMAIN, duration, name, path, uri } from './forms.ts';
import { choice, flag, laterChoice, leaf, list, map, word } from './leaf.ts';
import { readEndpoint } from './units.ts';

const endpoint = () =>
  leaf("a callout server's address", 'write ocp://HOST:PORT, ocp+tls://HOST:PORT or ocp+unix:/path', readEndpoint);

const REASON_FORM = 'write bypassable: { never: "the reason, in one line of up to 200 characters" }';

export const service = map(
  {
    uri: uri().describe('Its identity, in negotiation and in the trace.'),
    connect: z
      .union([endpoint().transform((one) => [one]), list(endpoint(), 'a list', true)])
      .optional()
      .describe(
        'Callout servers that offer it: `ocp://host:port`, `ocp+tls://host:port`, `ocp+unix:/path`; one or a list. Default port 4037.',
      ),
    run: path()
      .optional()
      .describe(
        'Or: a TypeScript or JavaScript file that is run here as a child process; `builtin:banner` and `builtin:attachments` come with the program.',
      ),
    may: list(choice('a permission', PERMISSIONS), 'a list', false)
      .prefault([])
      .describe('What it is allowed to do; an answer that does more is refused whole.'),
    commands: list(choice('a command', COMMANDS), 'a list', false)
      .prefault([])
      .describe(
        'Commands outside of mails that it is asked about as well, each at once and in a short transaction: `EHLO` (with HELO and LHLO), `VRFY`, `EXPN`. It may refuse them with `refuse` or `tempfail`, and change their value with `rewrite-command`. `onFailure` holds there too, with `quarantine` and `spool` as `tempfail`. Default: none; then EHLO is taken, and 252 and 502 are the answers to the others.',
      ),
    bypassable: z
      .union([
        choice('a bypass mode', ['never', 'allowed']),
        map(
          {
            never: word('a reason', REASON_FORM, /^(?=.*\S)[^\x00-\x1f\x7f]{1,200}$/).describe(
              'Why no mail goes without it.',
            ),
          },
          'a bypass mode with its reason',
          REASON_FORM,
        ),
      ])
      .optional()
      .describe(
        'Whether a request to leave it out may be honoured: `never`, `allowed`, or `{ never: REASON }` with the reason why no mail goes without it, which `opes check`, the log and the console show. Default: `never` where it may refuse, tempfail or quarantine, or only read (as what logs or keeps mail does), else `allowed`.',
      ),
    consent: laterChoice('a consent', ['operator'], ['sender', 'recipient'], 'a record of consent')
      .prefault('operator')
      .describe('Who has agreed to what it does. Only `operator` yet.'),
    kept: choice('a form of Kept', ['structure', 'pair', 'off'])
      .prefault('structure')
      .describe('How the server is told what it may answer by reference; `pair` and `off` are for foreign servers.'),
    insecure: flag().prefault(false).describe('Permits plaintext to a server on another machine.'),
    tls: map(
      {
        ca: path().optional().describe("Who signs the server's certificate. Default: the system's own list."),
        cert: path().optional().describe('Our own certificate, shown to the server.'),
        key: path().optional().describe('Its private key.'),
        serverName: word('a host name', 'write a host name', DOMAIN)
          .optional()
          .describe('The name its certificate must carry, where that is not the host.'),
      },
      'TLS settings',
      'write tls: { ca: ca.pem, cert: gateway.pem, key: gateway.key }',
    )
      .optional()
      .describe('For ocp+tls: who signs the server (ca), and our own certificate.'),
  },
  'a service',
  'write { uri: "https://...", connect: "ocp://127.0.0.1:4037", may: [...] }',
);

const action = () => choice('a failure action', ['tempfail', 'skip', 'reject', 'quarantine', 'spool']);
const REASONS: Readonly<Record<(typeof FAILURE_REASONS)[number] | '*', string>> = {
  timeout: 'It owed an answer for too long.',
  unreachable: 'No server could be reached, or the server has no service of that URI.',
  crash: 'It failed: its handler threw, or its answer or the connection broke off.',
  invalid: 'It answered what it must not: against the protocol, or beyond its permissions.',
  overload: 'The server said that it has too much to do.',
  '*': 'Any reason not named.',
};
const actions = Object.fromEntries(
  Object.entries(REASONS).map(([reason, when]) => [reason, action().optional().describe(when)]),
) as Record<(typeof FAILURE_REASONS)[number] | '*', z.ZodOptional<ReturnType<typeof action>>>;

export const entry = map(
  {
    service: name().describe('One of `services`.'),
    when: word('a rule', 'write a rule in quotes, such as "listener.side == \'recipient\'"', /\S/)
      .optional()
      .describe(
        'A rule (CEL) over client, session, listener, sender, recipient and message; judged for each recipient, and with `message` when the message is there. Default: always.',
      ),
    requires: list(choice('a part', PARTS), 'a list', false)
      .prefault([])
      .describe('Parts the service must accept to see; a server that leaves one out counts as failed.'),
    buildsOn: list(name(), 'a list', false)
      .prefault([])
      .describe(
        'Services before it whose work it counts on: where one of them is left out on request, so is this one. Where this one is never left out, nor may they be. Where one of them fails and is skipped, this one has failed with it, for the same reason, and its own `onFailure` says what follows.',
      ),
    onFailure: z
      .union([action(), map(actions, 'an action, or a map from reason to action', 'write onFailure: tempfail')])
      .prefault('tempfail')
      .describe(
        'What happens to the mail when the service fails: `tempfail`, `skip` (always marked), `reject`, `quarantine` (taken and kept aside), `spool` (taken and tried again later); or a map from reason (timeout, unreachable, crash, invalid, overload, "*") to one of them.',
      ),
    timeout: duration().prefault('30s').describe('Runs only while the service owes an answer.'),
  },
  'a pipeline entry',
  'write { service: NAME }',
);
