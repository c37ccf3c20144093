/** The two versions of a mail side by side, what differs marked, long stretches without a difference folded away. */
import { html } from 'hono/html';
import type { MailRecord } from '../../gateway/options.ts';
import { diffLines, type Marked, type Row } from '../diff.ts';
import { shownLines, shownSize } from '../text.ts';
import type { Html } from './layout.ts';

/** Unchanged lines shown around a change. */
const AROUND = 3;
/** Fewer unchanged lines than this are not worth folding... */
const WORTH_FOLDING = 6;
/** ...nor is any in a mail of so few lines: it is read as a whole. */
const SHORT_MAIL = 60;

export function comparison(mail: MailRecord, before: Uint8Array): Html {
  const after = mail.after ?? new Uint8Array();
  const rows = diffLines(shownLines(before), mail.after === undefined ? [] : shownLines(after));
  const cut = mail.sizeBefore > before.length || (mail.after !== undefined && mail.sizeAfter > after.length);
  const note = cut ? html`<p class="dim">Only the first ${shownSize(before.length)} are kept for this page.</p>` : '';
  if (mail.after === undefined) {
    return html`<p class="dim">Nothing went on: this is what came in.</p>
<div class="diff one">${rows.map((row) => ('before' in row ? side(row.left, row.before, 'alone') : ''))}</div>${note}`;
  }
  const head = html`<div class="row heads"><div class="heading">Before <span class="dim">${shownSize(mail.sizeBefore)}</span></div><div class="heading">After <span class="dim">${shownSize(mail.sizeAfter)}</span></div></div>`;
  return html`<div class="diff">${head}${folded(rows).map(block)}</div>${note}`;
}

/** Stretches of unchanged rows, and everything else row by row. */
type Block = Row | { readonly kind: 'folded'; readonly rows: readonly Row[] };

function folded(rows: readonly Row[]): readonly Block[] {
  if (rows.length <= SHORT_MAIL) return rows;
  const blocks: Block[] = [];
  for (let at = 0; at < rows.length; ) {
    const row = rows[at];
    if (row === undefined) break;
    let end = at;
    while (rows[end]?.kind === 'same') end++;
    const from = at === 0 ? 0 : at + AROUND;
    const to = end === rows.length ? end : end - AROUND;
    if (row.kind === 'same' && to - from >= WORTH_FOLDING) {
      blocks.push(...rows.slice(at, from), { kind: 'folded', rows: rows.slice(from, to) }, ...rows.slice(to, end));
    } else {
      blocks.push(...rows.slice(at, Math.max(end, at + 1)));
    }
    at = Math.max(end, at + 1);
  }
  return blocks;
}

function block(one: Block): Html {
  if (one.kind !== 'folded') return pair(one);
  return html`<details><summary>${one.rows.length} lines without a change</summary>${one.rows.map(pair)}</details>`;
}

function pair(row: Row): Html {
  switch (row.kind) {
    case 'same': {
      const text = { start: row.text, differs: '', end: '' };
      return html`<div class="row same">${side(row.left, text, '')}${side(row.right, text, '')}</div>`;
    }
    case 'removed':
      return html`<div class="row">${side(row.left, row.before, 'was')}${EMPTY}</div>`;
    case 'added':
      return html`<div class="row">${EMPTY}${side(row.right, row.after, 'is')}</div>`;
    case 'changed':
      return html`<div class="row">${side(row.left, row.before, 'was')}${side(row.right, row.after, 'is')}</div>`;
  }
}

const EMPTY = html`<div class="side none"></div>`;

function side(line: number, text: Marked, look: '' | 'was' | 'is' | 'alone'): Html {
  // A line that is new as a whole is marked by its colour; words are marked only inside a line that changed.
  const isPart = text.start !== '' || text.end !== '';
  const differs = isPart && text.differs !== '' ? differing(text.differs, look) : text.differs;
  return html`<div class="side ${look}"><span class="n">${line}</span><code>${text.start}${differs}${text.end}</code></div>`;
}

function differing(text: string, look: '' | 'was' | 'is' | 'alone'): Html | string {
  if (look === 'was') return html`<del>${text}</del>`;
  return look === 'is' ? html`<ins>${text}</ins>` : text;
}
