import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'vitest';
import { run } from '../../callout/testing.ts';
import { MimeScanner } from '../../mail/index.ts';
import attachments, { makeAttachments } from './index.ts';
import { kindOfOctets } from './kinds.ts';
import { extensionsOf } from './names.ts';
import { HEAD_OCTETS, PartHeads } from './part-heads.ts';

/** A Windows program as far as anybody looks: the DOS header, which points to the other one. */
const PROGRAM = Buffer.concat([
  Buffer.from('MZ'),
  Buffer.alloc(58),
  Buffer.from([64, 0, 0, 0]),
  Buffer.from('PE\0\0'),
  Buffer.alloc(200),
]);
const SCRIPT = Buffer.from('#!/bin/sh\nrm -rf /\n');
const PDF = Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n', 'latin1');

/** A ZIP file with one stored entry. */
function zip(name: string, content: string): Buffer {
  const data = Buffer.from(content);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt32LE(crc32(data), 14);
  header.writeUInt32LE(data.length, 18);
  header.writeUInt32LE(data.length, 22);
  header.writeUInt16LE(name.length, 26);
  const entry = Buffer.concat([header, Buffer.from(name), data]);
  const directory = Buffer.alloc(46);
  directory.writeUInt32LE(0x02014b50, 0);
  header.copy(directory, 6, 4, 30);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(entry.length, 16);
  return Buffer.concat([entry, directory, Buffer.from(name), end]);
}

const contentTypes = (type: string): string =>
  `<?xml version="1.0"?><Types><Override PartName="/word/document.xml" ContentType="application/${type}.main+xml"/></Types>`;
const DOCX = zip('[Content_Types].xml', contentTypes('vnd.openxmlformats-officedocument.wordprocessingml.document'));
const DOCM = zip('[Content_Types].xml', contentTypes('vnd.ms-word.document.macroenabled'));

/** A mail with one attachment. */
function mailWith(head: string, body: Buffer, encoding = 'base64'): Buffer {
  const encoded = encoding === 'base64' ? Buffer.from(body.toString('base64').replace(/.{1,76}/g, '$&\r\n')) : body;
  return Buffer.concat([
    Buffer.from(
      `Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee attachment.\r\n--b\r\n${head}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`,
    ),
    encoded,
    Buffer.from('\r\n--b--\r\n'),
  ]);
}

const named = (name: string, type = 'application/octet-stream'): string =>
  `Content-Type: ${type}\r\nContent-Disposition: attachment; filename="${name}"`;

async function replyTo(mail: Buffer, service = attachments): Promise<string | undefined> {
  const result = await run(service, { mail });
  assert.equal(result.failure, undefined, JSON.stringify(result.log));
  if (result.outcome === 'kept') assert.equal(result.sentBack, 0);
  return result.reply?.replace('550 5.7.1 Attachment ', '');
}

const refused: readonly (readonly [why: string, mail: Buffer, reply: string])[] = [
  ['a program by its name', mailWith(named('setup.exe'), PDF), '"setup.exe" not accepted: .exe files are not accepted'],
  ['in capitals', mailWith(named('SETUP.EXE'), PDF), '"SETUP.EXE" not accepted: .exe files are not accepted'],
  [
    'with what Windows drops',
    mailWith(named('a.exe. . '), PDF),
    '"a.exe. . " not accepted: .exe files are not accepted',
  ],
  ['as a stream', mailWith(named('a.exe::$DATA'), PDF), '"a.exe::$DATA" not accepted: .exe files are not accepted'],
  ['with a path', mailWith(named('..\\\\x\\\\a.exe'), PDF), '"..\\x\\a.exe" not accepted: .exe files are not accepted'],
  [
    'a double extension',
    mailWith(named('invoice.pdf.js'), PDF),
    '"invoice.pdf.js" not accepted: its double extension hides that it is a .js file',
  ],
  [
    'far behind the name',
    mailWith(named(`invoice.pdf${' '.repeat(30)}.scr`), PDF),
    `"invoice.pdf${' '.repeat(30)}.scr" not accepted: its name hides that it is a .scr file`,
  ],
  [
    'written backwards',
    mailWith(`Content-Disposition: attachment; filename*=utf-8''invoice%E2%80%AEfdp.exe`, PDF),
    '"invoice?fdp.exe" not accepted: its name hides that it is a .exe file',
  ],
  [
    'in full-width letters',
    mailWith(`Content-Disposition: attachment; filename*=utf-8''a%EF%BC%8E%EF%BD%85%EF%BD%98%EF%BD%85`, PDF),
    '"a????" not accepted: .exe files are not accepted',
  ],
  [
    'in an encoded-word',
    mailWith('Content-Disposition: attachment; filename="=?utf-8?B?YS5leGU=?="', PDF),
    '"a.exe" not accepted: .exe files are not accepted',
  ],
  [
    'in pieces',
    mailWith('Content-Disposition: attachment; filename*0="a.e"; filename*1="xe"', PDF),
    '"a.exe" not accepted: .exe files are not accepted',
  ],
  [
    'in the name of the type',
    mailWith('Content-Type: application/pdf; name="a.exe"\r\nContent-Disposition: attachment; filename="a.pdf"', PDF),
    '"a.exe" not accepted: .exe files are not accepted',
  ],
  [
    'in the second of two names',
    mailWith('Content-Disposition: attachment; filename="a.pdf"; filename="a.exe"', PDF),
    '"a.exe" not accepted: .exe files are not accepted',
  ],
  ['macros by the name', mailWith(named('a.xlsm'), PDF), '"a.xlsm" not accepted: .xlsm files are not accepted'],
  ['a shortcut', mailWith(named('a.lnk'), PDF), '"a.lnk" not accepted: .lnk files are not accepted'],
  ['a disk image', mailWith(named('a.iso'), PDF), '"a.iso" not accepted: .iso files are not accepted'],
  [
    'a program called a picture',
    mailWith(named('a.jpg', 'image/jpeg'), PROGRAM),
    '"a.jpg" not accepted: it is a program',
  ],
  [
    'a program without a name',
    mailWith('Content-Type: application/octet-stream', PROGRAM),
    'not accepted: it is a program',
  ],
  [
    'a program without any encoding',
    mailWith(named('a.dat'), PROGRAM, 'binary'),
    '"a.dat" not accepted: it is a program',
  ],
  [
    'a program in quoted-printable',
    mailWith(
      named('a.dat'),
      Buffer.from(
        PROGRAM.toString('latin1').replace(
          /[^A-Z]/g,
          (c) => `=${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
        ),
      ),
      'quoted-printable',
    ),
    '"a.dat" not accepted: it is a program',
  ],
  [
    'a script called a text',
    mailWith(named('readme.txt', 'text/plain'), SCRIPT),
    '"readme.txt" not accepted: it is a script',
  ],
  ['macros called a document', mailWith(named('a.docx'), DOCM), '"a.docx" not accepted: it contains macros'],
  [
    'an unknown encoding',
    mailWith(named('a.pdf'), PDF, 'x-uuencode'),
    '"a.pdf" not accepted: its transfer encoding is unknown',
  ],
  [
    'an encoded message',
    mailWith('Content-Type: message/rfc822', Buffer.from('Subject: x\r\n\r\nx')),
    'not accepted: it is a message encoded as a whole',
  ],
  [
    'a fragment',
    Buffer.from('Content-Type: message/partial; id=a; number=1\r\n\r\nx'),
    'not accepted: it is a fragment of a message',
  ],
  [
    'two types',
    Buffer.from(
      'Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n',
    ),
    'not accepted: its header contradicts itself',
  ],
];
for (const [why, mail, reply] of refused) {
  test(`refused: ${why}`, async () => assert.equal(await replyTo(mail), reply));
}

const kept: readonly (readonly [why: string, mail: Buffer])[] = [
  ['a document', mailWith(named('a.pdf', 'application/pdf'), PDF)],
  ['a document of Office', mailWith(named('a.docx'), DOCX)],
  ['a name with a program in it', mailWith(named('setup.exe.pdf'), PDF)],
  ['no extension', mailWith(named('README'), PDF)],
  ['a text that begins like a program', Buffer.from('Subject: x\r\n\r\nMZ is how it begins.\r\n')],
  [
    'a text file that does so too',
    mailWith(
      named('a.txt', 'text/plain'),
      Buffer.from('MZ is how it begins, and so it goes on for quite a while without a zero.'),
    ),
  ],
  ['a text that begins like a script', Buffer.from('Subject: x\r\n\r\n#!/bin/sh is a shebang.\r\n')],
  ['an empty attachment', mailWith(named('a.pdf'), Buffer.alloc(0))],
  [
    'a message whose name ends like a program',
    mailWith('Content-Type: message/rfc822; name="See www.example.com"', Buffer.from('Subject: x\r\n\r\nx'), '7bit'),
  ],
  ['Hebrew marks of direction', mailWith(`Content-Disposition: attachment; filename*=utf-8''%E2%80%8Fa.pdf`, PDF)],
];
for (const [why, mail] of kept) {
  test(`kept: ${why}`, async () => assert.equal(await replyTo(mail), undefined));
}

test('usual mail is kept, signed and encrypted too', async () => {
  const folder = new URL('../fixtures/', import.meta.url);
  const names = readdirSync(folder);
  assert.ok(names.length > 10);
  for (const name of names) {
    const octets = readFileSync(new URL(name, folder)).toString('latin1').replaceAll('\n', '\r\n');
    assert.equal(await replyTo(Buffer.from(octets, 'latin1')), undefined, name);
  }
});

test('what is in a message that is attached counts, however deep', async () => {
  let nested = mailWith(named('a.jpg'), PROGRAM).toString('latin1');
  for (let depth = 0; depth < 5; depth++) {
    const outer = mailWith('Content-Type: message/rfc822', Buffer.from(nested, 'latin1'), '8bit');
    nested = renameOuter(outer.toString('latin1'), depth);
  }
  assert.equal(await replyTo(Buffer.from(nested, 'latin1')), '"a.jpg" not accepted: it is a program');
  const bottomless = Array.from(
    { length: 40 },
    (_, i) => `Content-Type: multipart/mixed; boundary=b${i}x\r\n\r\n--b${i}x\r\n`,
  ).join('');
  assert.equal(await replyTo(Buffer.from(`${bottomless}\r\nx`)), 'not accepted: it is nested too deep');
});

/** Gives the outermost boundary a name of its own: an inner one of the same name would end it. */
function renameOuter(mail: string, depth: number): string {
  const name = `outer${depth}`;
  const first = mail.indexOf('--b\r\n');
  const second = mail.indexOf('--b\r\n', first + 1);
  const last = mail.lastIndexOf('--b--');
  return (
    mail.slice(0, first).replace('boundary=b', `boundary=${name}`) +
    `--${name}\r\n` +
    mail.slice(first + 5, second) +
    `--${name}\r\n` +
    mail.slice(second + 5, last) +
    `--${name}--${mail.slice(last + 5)}`
  );
}

test('large attachments are looked at, and only their beginnings kept', async () => {
  const mail = mailWith(named('a.dat'), Buffer.concat([PROGRAM, Buffer.alloc(8 * 1024 * 1024, 1)]));
  assert.equal(await replyTo(mail), '"a.dat" not accepted: it is a program');
});

test('an attachment behind more than can be kept is not let through unseen', async () => {
  const filler = 'a line\r\n\r\n'.repeat(500_000);
  const front = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n';
  const back = `\r\n--b\r\n${named('a.dat')}\r\n\r\n${PROGRAM.toString('latin1')}\r\n--b--\r\n`;
  const mail = Buffer.from(front + filler + back, 'latin1');
  assert.equal(await replyTo(mail), '"a.dat" not accepted: it cannot be looked at');
  assert.equal(await replyTo(mail, makeAttachments({ unclear: 'keep' })), undefined);
});

test('operators refuse more and less, and say what to do instead', async () => {
  const service = makeAttachments({
    refuse: ['program'],
    refuseExtensions: ['.ZIP'],
    allowExtensions: ['exe'],
    unclear: 'keep',
    advice: 'Please use https://files.example.com',
  });
  assert.equal(await replyTo(mailWith(named('a.exe'), PROGRAM), service), undefined);
  assert.equal(await replyTo(mailWith(named('a.vbs'), SCRIPT), service), undefined);
  assert.equal(await replyTo(mailWith(named('a.pdf'), PDF, 'x-uuencode'), service), undefined);
  const { reply } = await run(service, { mail: mailWith(named('a.zip'), DOCX) });
  assert.equal(
    reply,
    '550-5.7.1 Attachment "a.zip" not accepted: .zip files are not accepted\r\n550 5.7.1 Please use https://files.example.com',
  );
});

test('real programs are recognised', async () => {
  const head = Buffer.alloc(4096);
  const file = openSync(process.execPath, 'r');
  readSync(file, head);
  closeSync(file);
  assert.equal(await kindOfOctets(head), 'program');
  assert.equal(await kindOfOctets(Buffer.alloc(0)), undefined);
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      async (octets) => void (await kindOfOctets(Buffer.from(octets))),
    ),
    { numRuns: 200 },
  );
  // A ZIP file that ends in the middle of what is looked for.
  for (let end = 0; end < DOCM.length; end += 7) await kindOfOctets(DOCM.subarray(0, end));
});

test('extensions of names', () => {
  assert.deepEqual(extensionsOf('a.tar.gz'), ['tar', 'gz']);
  assert.deepEqual(extensionsOf('a'), []);
  assert.deepEqual(extensionsOf('.exe'), ['exe']);
  assert.deepEqual(extensionsOf('c:\\x.y\\a.EXE. '), ['exe']);
  assert.deepEqual(extensionsOf('a\u200b.ex\u00ade'), ['exe']);
});

test('however a mail is cut, the beginnings of all its parts are kept', () => {
  const line = fc.constantFrom('--b', 'text', 'Content-Type: text/html', '', 'more text');
  const end = fc.constantFrom('\r\n', '\r\n', '\n');
  const lines = fc.array(fc.tuple(line, end), { maxLength: 40 }).map((all) => all.map((one) => one.join('')).join(''));
  fc.assert(
    fc.property(
      lines,
      fc.nat(5000),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (text, filler, cuts) => {
        const mail = Buffer.from(
          `Content-Type: multipart/mixed; boundary=b\r\n\r\n${text}--b\r\n\r\n${'x'.repeat(filler)}`,
        );
        const heads = new PartHeads();
        const scanner = new MimeScanner();
        for (let at = 0, i = 0; at < mail.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          heads.feed(mail.subarray(at, at + size));
          scanner.feed(mail.subarray(at, at + size));
          at += size;
        }
        const check = (part: ReturnType<MimeScanner['end']>): void => {
          const body = mail.subarray(part.bodyStart, Math.min(part.bodyEnd, part.bodyStart + HEAD_OCTETS));
          if (part.bodyEnd > part.bodyStart) assert.deepEqual(heads.read(part.bodyStart, part.bodyEnd), body);
          part.children.forEach(check);
        };
        check(scanner.end());
      },
    ),
  );
});

test('beginnings are kept, what is far behind an empty line is not', () => {
  const heads = new PartHeads();
  heads.feed(Buffer.from('A: b\r\n\r\n'));
  for (let i = 0; i < 100; i++) heads.feed(Buffer.alloc(10_000, 'x'));
  assert.equal(heads.read(8, 2_000_000)?.length, HEAD_OCTETS);
  assert.equal(heads.read(500_000, 600_000), undefined);
  assert.equal(heads.read(500_000, 500_000)?.length, 0);
});
