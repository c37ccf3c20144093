/**
 * A report read line by line as RFC 6522, 3464 and 6533 have it, by nothing of ours: an assertion fails at the first octet
 * that they do not allow. It is stricter than they are: exactly the fields we write, in our order.
 */
import assert from 'node:assert/strict';

export type Fields = ReadonlyMap<string, string>;

export interface ReadReport {
  readonly header: Fields;
  readonly parts: readonly { readonly header: Fields; readonly body: Buffer }[];
  readonly mailFields: Fields;
  readonly recipientFields: readonly Fields[];
}

const DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d \+0000$/;
const DNS = /^dns; [A-Za-z0-9_.[\]:-]{1,260}$/;
const MSG_ID = /^<[^\s<>@]+@[^\s<>@]+>$/;
/** `utf-8` beyond ASCII is for the global form only; the caller looks at that. */
const ADDRESS = /^(?:utf-8; [^\p{Cc}]+|(?!utf-8;)[a-z0-9-]+; [\x20-\x7e]+)$/u;

type Table = readonly (readonly [name: string, form: RegExp, isOptional?: 'optional'])[];

const HEADER: Table = [
  ['From', /^Mail Delivery System <MAILER-DAEMON@[\x21-\x7e]+>$/],
  ['To', /^<[^\p{Cc}]+>$/u],
  ['Subject', /^[\x20-\x7e]{1,500}$/],
  ['Date', DATE],
  ['Message-ID', MSG_ID],
  ['In-Reply-To', MSG_ID, 'optional'],
  ['References', MSG_ID, 'optional'],
  ['Auto-Submitted', /^auto-replied$/],
  ['MIME-Version', /^1\.0$/],
  ['Content-Type', /^multipart\/report; report-type=delivery-status; boundary="=_[A-Za-z0-9_-]{0,40}\.\d+"$/],
];
const TEXT: Table = [
  ['Content-Type', /^text\/plain; charset=utf-8$/],
  ['Content-Transfer-Encoding', /^(?:7bit|quoted-printable)$/],
  ['Content-Language', /^[a-z]{2}(?:, [a-z]{2})*$/],
  ['Content-Description', /^Notification$/],
];
const STATUS: Table = [
  ['Content-Type', /^message\/(?:delivery-status|global-delivery-status)$/],
  ['Content-Transfer-Encoding', /^[78]bit$/],
  ['Content-Description', /^Delivery report$/],
];
const RETURNED: Table = [
  ['Content-Type', /^(?:text\/rfc822-headers|message\/(?:global-headers|rfc822|global))$/],
  ['Content-Transfer-Encoding', /^(?:7bit|8bit|quoted-printable)$/],
  ['Content-Description', /^(?:Returned mail|Header of the returned mail(?: \(the last fields are left out\))?)$/],
];
const URI = '[A-Za-z][A-Za-z0-9+.-]*:[^\\s;,]+';
const MAIL: Table = [
  ['Original-Envelope-Id', /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'optional'],
  ['Reporting-MTA', DNS],
  [
    'Received-From-MTA',
    /^dns; (?:[A-Za-z0-9_.[\]:-]{1,260}(?: \(\[[0-9A-Fa-f.:]+\]\))?|\[[0-9A-Fa-f.:]+\])$/,
    'optional',
  ],
  ['Arrival-Date', DATE],
  ['OPES-System', /^[\x21-\x7e]+$/],
  ['OPES-Via', /^[\x20-\x7e]+$/, 'optional'],
];
const RECIPIENT: Table = [
  ['Original-Recipient', ADDRESS, 'optional'],
  ['Final-Recipient', ADDRESS],
  ['Action', /^(?:failed|delayed|delivered|relayed|expanded)$/],
  ['Status', /^[245]\.\d{1,3}\.\d{1,3}$/],
  ['Remote-MTA', DNS, 'optional'],
  ['Diagnostic-Code', /^smtp; [2-5]\d\d(?: [\x20-\x7e]*)?$/, 'optional'],
  ['Last-Attempt-Date', DATE, 'optional'],
  ['Will-Retry-Until', DATE, 'optional'],
  ['OPES-Cause', new RegExp(`^(?:refused|failed|delayed); ${URI}(?:;reason=[a-z-]*)?$`), 'optional'],
];

export function readReport(octets: Buffer): ReadReport {
  const text = octets.toString('latin1');
  assert.ok(text.endsWith('\r\n'));
  assert.ok(!/\r(?!\n)|(?<!\r)\n|\0/.test(text), 'bare CR, LF or NUL');
  for (const line of text.split('\r\n')) assert.ok(line.length <= 998, `a line of ${line.length} octets`);
  const [head, rest] = atEmptyLine(text);
  const header = fieldsOf(head, HEADER);
  const boundary = /boundary="([^"]+)"/.exec(header.get('Content-Type') ?? '')?.[1] ?? '';
  const pieces = `\r\n${rest}`.split(`\r\n--${boundary}`);
  assert.equal(pieces.length, 5, 'three parts between four delimiters');
  assert.deepEqual([pieces[0], pieces[4]], ['', '--\r\n'], 'nothing before and behind them');
  const parts = [TEXT, STATUS, RETURNED].map((table, i) => {
    const piece = pieces[i + 1] ?? '';
    assert.ok(piece.startsWith('\r\n'), 'the delimiter ends its line');
    const [partHead, body] = atEmptyLine(piece.slice(2));
    const partHeader = fieldsOf(partHead, table);
    const encoding = partHeader.get('Content-Transfer-Encoding');
    if (encoding !== '8bit') assert.ok(!/[\x80-\xff]/.test(body), `eight bits in ${encoding}`);
    if (encoding === 'quoted-printable') for (const line of body.split('\r\n')) assert.ok(line.length <= 76);
    return { header: partHeader, body: Buffer.from(body, 'latin1') };
  });
  const groups = (parts[1]?.body.toString('latin1') ?? '').split('\r\n\r\n');
  assert.ok(groups.length >= 2, 'fields of the mail, and of one recipient at least');
  const ends = groups.map((group) => group.replace(/\r\n$/, ''));
  return {
    header,
    parts,
    mailFields: fieldsOf(ends[0] ?? '', MAIL),
    recipientFields: ends.slice(1).map((group) => fieldsOf(group, RECIPIENT)),
  };
}

function atEmptyLine(text: string): readonly [string, string] {
  const at = text.indexOf('\r\n\r\n');
  assert.ok(at > 0, 'an empty line');
  return [text.slice(0, at), text.slice(at + 4)];
}

/** Each line is a field or the rest of one; the fields are those of the table, in its order, each once. */
function fieldsOf(text: string, table: Table): Fields {
  const fields = new Map<string, string>();
  for (const line of Buffer.from(text, 'latin1')
    .toString()
    .replace(/\r\n(?=[ \t]+[^ \t\r\n])/g, '')
    .split('\r\n')) {
    const [, name = '', value = ''] = /^([A-Za-z-]+): (.*)$/s.exec(line) ?? assert.fail(`no field: ${line}`);
    assert.ok(!fields.has(name), `${name} stands twice`);
    fields.set(name, value);
  }
  const order = table.map(([name]) => name);
  assert.deepEqual(
    [...fields.keys()],
    order.filter((name) => fields.has(name)),
    'unknown, or out of order',
  );
  for (const [name, form, isOptional] of table) {
    const value = fields.get(name);
    if (value === undefined) assert.equal(isOptional, 'optional', `${name} is missing`);
    else assert.match(value, form, name);
  }
  return fields;
}
