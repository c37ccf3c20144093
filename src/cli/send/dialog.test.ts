import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { silentLog } from '../../base/index.ts';
import { replies, reply, type ServerHandler, type SmtpConnection, SmtpListener } from '../../smtp/index.ts';
import { Dialog } from './dialog.ts';

/** A server that refuses recipients named `no`, and keeps what it gets. */
async function server(kept: string[]): Promise<{ host: string; port: number }> {
  const options = {
    hostname: 'mx.test',
    host: '127.0.0.1',
    port: 0,
    log: silentLog,
    tls: undefined,
    maxSizeOctets: 10_000,
    maxRecipients: 10,
    maxConnections: 10,
    maxConnectionsPerPeer: 10,
    idleMs: 10_000,
  };
  const listener = await SmtpListener.listen(options, (connection) => handler(connection, kept));
  onTestFinished(() => listener.close(0));
  return { host: '127.0.0.1', port: listener.port };
}

function handler(connection: SmtpConnection, kept: string[]): ServerHandler {
  let content = '';
  return {
    onHello: (_verb, _name, ticket) => connection.answerHello(ticket),
    onMail: (mail, ticket) => {
      kept.push(mail.argument);
      connection.answer(ticket, replies.mailOk);
    },
    onRcpt: (rcpt, ticket) => {
      const refuse = rcpt.forwardPath.local === 'no';
      connection.answer(ticket, refuse ? reply(550, '5.1.1', 'nobody', 'of that name') : replies.rcptOk);
    },
    onData: (ticket) => connection.go(ticket),
    onContent: (octets) => {
      content += octets.toString('latin1');
    },
    onContentEnd: (ticket) => {
      kept.push(content);
      connection.answer(ticket, replies.accepted);
    },
    onVerify: (_verb, _argument, ticket) => connection.answer(ticket, replies.cannotVerify),
    onReset() {},
    onClosed() {},
  };
}

async function send(to: readonly string[], content: string, from = 'a@b.example') {
  const kept: string[] = [];
  const said: string[] = [];
  const dialog = new Dialog(await server(kept), (line) => said.push(line));
  const sent = await dialog.send({ from, to, content: Buffer.from(content, 'latin1'), helo: 'client.test' });
  return { sent, said, kept };
}

test('the dialog is shown line by line; dots survive; the last line gets its end', async () => {
  const { sent, said, kept } = await send(['c@d.example'], 'Subject: x\r\n\r\n.dot\r\n..two\r\nend');
  assert.equal(sent, true);
  assert.equal(kept.at(-1), 'Subject: x\r\n\r\n.dot\r\n..two\r\nend\r\n');
  assert.deepEqual(said.slice(0, 2), ['S: 220 mx.test ESMTP', 'C: EHLO client.test']);
  assert.deepEqual(said.slice(-8), [
    'S: 250 2.1.5 OK',
    'C: DATA',
    'S: 354 End data with <CR><LF>.<CR><LF>',
    'C: (the mail, 30 octets)',
    'C: .',
    'S: 250 2.0.0 OK, message accepted',
    'C: QUIT',
    'S: 221 2.0.0 Goodbye',
  ]);
});

test('a refused recipient is a failure, also beside an accepted one', async () => {
  const none = await send(['no@d.example'], 'x\r\n');
  assert.equal(none.sent, false);
  assert.deepEqual(none.said.slice(-4), [
    'S: 550-5.1.1 nobody',
    'S: 550 5.1.1 of that name',
    'C: QUIT',
    'S: 221 2.0.0 Goodbye',
  ]);
  const one = await send(['no@d.example', 'c@d.example'], 'x\r\n');
  assert.equal(one.sent, false);
  assert.equal(one.kept.at(-1), 'x\r\n');
});

test('what the mail needs is said with MAIL', async () => {
  const eight = await send(['c@d.example'], 'gr\xfc\xdfe\r\n', '<>');
  assert.ok(
    eight.kept[0]?.startsWith('<> ') && eight.kept[0].includes('BODY=8BITMIME') && eight.kept[0].includes('SIZE=7'),
  );
  const utf8 = await send(['grüße@d.example'], 'x\r\n');
  assert.ok(utf8.sent && utf8.kept[0]?.includes('SMTPUTF8'));
});

test('nobody there, and somebody who hangs up', async () => {
  const place = await server([]);
  const nobody = new Dialog({ host: '127.0.0.1', port: 1 }, () => undefined);
  const letter = { from: 'a@b', to: ['c@d'], content: Buffer.from('x'), helo: 'h' };
  await assert.rejects(nobody.send(letter), { name: 'Failure', message: 'nobody listens on 127.0.0.1:1' });
  const { createServer } = await import('node:net');
  const rude = createServer((socket) => socket.end('220 x\r\n')).listen(0, '127.0.0.1');
  onTestFinished(() => void rude.close());
  await new Promise((resolve) => rude.once('listening', resolve));
  const { port } = rude.address() as { port: number };
  await assert.rejects(new Dialog({ ...place, port }, () => undefined).send(letter), { message: 'the server hung up' });
});
