/** Real clients log in: swaks with PLAIN and LOGIN, msmtp with SCRAM-SHA-256, over STARTTLS and over TLS from the start. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { config, Gateway, OPES, withoutTrace } from '../support/gateway.ts';
import { needPrograms } from '../support/programs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SINK_CERT, SINK_KEY, Sink } from '../support/sink.ts';
import { swaks } from '../support/swaks.ts';

const CONTENT = Buffer.from('Subject: submitted\r\n\r\nbody\r\n');
const USER = 'ann@src.test';
const PASSWORD = 'p\u00e4ss "word" \\ 1';

let sink: Sink;
let gateway: Gateway;
let folder: string;

beforeAll(async () => {
  sink = await Sink.listen();
  folder = scratchFolder('login');
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(tls.cert, SINK_CERT);
  writeFileSync(tls.key, SINK_KEY);
  const auth = join(folder, 'users.yaml');
  writeFileSync(auth, execFileSync(OPES, ['user', USER], { input: `${PASSWORD}\n` }));
  chmodSync(auth, 0o600);
  const submission = { side: 'sender', auth, requireTls: true };
  gateway = await Gateway.start(
    config(
      `smtp://127.0.0.1:${sink.port}`,
      {},
      {
        listeners: [
          { name: 'submission', address: '127.0.0.1:0', ...submission, tls },
          { name: 'submissions', address: '127.0.0.1:0', ...submission, tls: { ...tls, implicit: true } },
        ],
      },
    ),
  );
});
afterAll(async () => {
  await gateway.stop();
  await sink.close();
});

const WAYS = [
  { name: 'submission', swaksTls: '--tls', startTls: 'on' },
  { name: 'submissions', swaksTls: '--tls-on-connect', startTls: 'off' },
] as const;

async function delivered(before: number): Promise<string> {
  const mails = await sink.mailsOf(before + 1);
  const { trace, rest } = withoutTrace(mails.at(-1)?.content ?? Buffer.alloc(0));
  assert.match(rest.toString(), /Subject: submitted\r\n/);
  return trace[0] ?? '';
}

function send(name: string, options: readonly string[], from = USER) {
  return swaks({ port: gateway.port(name), from, to: ['b@dst.test'], content: CONTENT, options });
}

for (const { name, swaksTls, startTls } of WAYS) {
  for (const mechanism of ['PLAIN', 'LOGIN']) {
    test(`${name}: swaks logs in by ${mechanism}`, async () => {
      const before = sink.mails.length;
      const login = ['--auth', mechanism, '--auth-user', USER, '--auth-password', PASSWORD];
      const result = await send(name, [swaksTls, ...login]);
      assert.equal(result.code, 0, result.transcript.join('\n'));
      assert.match(await delivered(before), /with ESMTPSA id/);
    });
  }

  test(`${name}: msmtp logs in by SCRAM-SHA-256`, async () => {
    const { msmtp } = await needPrograms('msmtp');
    const before = sink.mails.length;
    const file = join(folder, `msmtprc-${name}`);
    const port = gateway.port(name);
    writeFileSync(
      file,
      `account default\nhost 127.0.0.1\nport ${port}\ntls on\ntls_starttls ${startTls}\ntls_trust_file ${join(folder, 'cert.pem')}\n` +
        `auth scram-sha-256\nuser ${USER}\npasswordeval cat ${join(folder, 'password')}\nfrom ${USER}\ndomain msmtp.test\n`,
    );
    chmodSync(file, 0o600);
    writeFileSync(join(folder, 'password'), PASSWORD);
    const done = await run(msmtp, ['-C', file, '--debug', 'b@dst.test'], { input: 'Subject: submitted\n\nbody\n' });
    assert.equal(done.code, 0, done.stderr + done.stdout);
    assert.match(await delivered(before), /^Received: from msmtp\.test .*with ESMTPSA id/s);
  });

  test(`${name}: a wrong password, another's address, and nobody are refused`, async () => {
    const wrong = await send(name, [swaksTls, '--auth', 'PLAIN', '--auth-user', USER, '--auth-password', 'x']);
    assert.ok(wrong.replies.includes('535 5.7.8 Authentication credentials invalid'), wrong.transcript.join('\n'));
    const login = ['--auth', 'PLAIN', '--auth-user', USER, '--auth-password', PASSWORD];
    const other = await send(name, [swaksTls, ...login], 'boss@src.test');
    assert.ok(other.replies.includes('553 5.7.1 Sender address is not one of this login'), other.transcript.join('\n'));
    const nobody = await send(name, [swaksTls]);
    assert.ok(nobody.replies.includes('530 5.7.0 Authentication required'), nobody.transcript.join('\n'));
  });
}

test('no password and no hash stands in a log; failures name the user', () => {
  const logs = gateway.child.stderr.join('\n');
  assert.ok(!logs.includes('word') && !logs.includes('argon2id'), logs);
  assert.match(logs, /auth\.failed/);
  assert.match(logs, /ann@src\.test/);
});
