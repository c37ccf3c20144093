/**
 * What the MIME scanner costs, without sockets: `node bench/micro-mime.ts`. Mails come in chunks of 64 KiB, as a socket gives
 * them. The figure is the best of several rounds, in megabytes a second.
 */
import {
  Base64Decoder,
  Base64Encoder,
  MimeScanner,
  QuotedPrintableDecoder,
  QuotedPrintableEncoder,
} from '../src/mail/index.ts';

const CHUNK = 64 * 1024;
const ROUNDS = 15;

function mbPerSecond(octets: Buffer, run: (chunk: Buffer) => void, end: () => void): string {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    for (let at = 0; at < octets.length; at += CHUNK) run(octets.subarray(at, at + CHUNK));
    end();
    best = Math.min(best, Number(process.hrtime.bigint() - from));
  }
  return `${Math.round(octets.length / (best / 1e9) / 1e6)} MB/s`;
}

function attachmentMail(size: number, line: string): Buffer {
  const head =
    'Subject: x\r\nContent-Type: multipart/mixed; boundary="----=_Part_1"\r\n\r\n------=_Part_1\r\n\r\ntext\r\n------=_Part_1\r\n' +
    'Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  return Buffer.from(`${head}${line.repeat(size / line.length)}------=_Part_1--\r\n`, 'latin1');
}

let scanner = new MimeScanner();
const scan = (mail: Buffer) =>
  mbPerSecond(
    mail,
    (chunk) => scanner.feed(chunk),
    () => {
      scanner.end();
      scanner = new MimeScanner();
    },
  );

const base64Line = `${'iVBORw0KGgoAAAANSUhEUgAAAAEA'.repeat(3).slice(0, 76)}\r\n`;
const small = attachmentMail(2000, base64Line);
console.log(`10 MB attachment           ${scan(attachmentMail(10_000_000, base64Line))}`);
console.log(`10 MB of dashed lines      ${scan(attachmentMail(10_000_000, '-- \r\n--x\r\n'))}`);
console.log(`10 MB of one line          ${scan(attachmentMail(10_000_000, 'x'.repeat(1000)))}`);
console.log(`2 kB mail, three parts     ${Math.round(nsPerMail(small) / 100) / 10} us a mail`);

function nsPerMail(mail: Buffer): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    for (let i = 0; i < 1000; i++) {
      const one = new MimeScanner();
      one.feed(mail);
      one.end();
    }
    best = Math.min(best, Number(process.hrtime.bigint() - from) / 1000);
  }
  return best;
}

const octets = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 2654435761) >>> 24));
const text = Buffer.from('A line of text, with an umlaut: ü, and some more.\r\n'.repeat(20_000));
for (const [name, input, Encoder, Decoder] of [
  ['base64', octets, Base64Encoder, Base64Decoder],
  ['quoted-printable', text, QuotedPrintableEncoder, QuotedPrintableDecoder],
] as const) {
  const encoder = new Encoder();
  const encoded = Buffer.concat([encoder.feed(input), encoder.end()]);
  const decoder = new Decoder();
  const encodes = mbPerSecond(
    input,
    (chunk) => encoder.feed(chunk),
    () => encoder.end(),
  );
  const decodes = mbPerSecond(
    encoded,
    (chunk) => decoder.feed(chunk),
    () => decoder.end(),
  );
  console.log(`${name.padEnd(26)} encode ${encodes}, decode ${decodes}`);
}
