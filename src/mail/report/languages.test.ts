import assert from 'node:assert/strict';
import { test } from 'vitest';
import { chooseLanguages, REPORT_LANGUAGES, reportTexts } from './languages.ts';

/** Every text of a language by its path, such as `why.refused`. */
function texts(value: object, path = ''): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, child] of Object.entries(value) as [string, string | object][]) {
    const here = path === '' ? key : `${path}.${key}`;
    if (typeof child === 'string') out.set(here, child);
    else for (const entry of texts(child, here)) out.set(...entry);
  }
  return out;
}

const english = texts(reportTexts.en);
const names = (text: string | undefined): readonly string[] => (text?.match(/\{\w+\}/g) ?? []).toSorted();

test('there are five languages and some thirty texts', () => {
  assert.ok(REPORT_LANGUAGES.length >= 5);
  assert.ok(english.size > 25, `${english.size}`);
});

for (const language of REPORT_LANGUAGES) {
  test(`${language} has every text, with the same names to fill in, and no stray octets`, () => {
    const own = texts(reportTexts[language]);
    assert.deepEqual([...own.keys()], [...english.keys()]);
    for (const [path, text] of own) {
      assert.deepEqual(names(text), names(english.get(path)), path);
      assert.match(text, /^(?! )(?:[^\p{Cc}{}]|\{(?:date|count|server|host|until|reply|uri|contact)\})+(?<! )$/u, path);
      if (language !== 'en') assert.notEqual(text, english.get(path), `${path} is not translated`);
    }
  });
}

const cases: readonly (readonly [accept: string | undefined, content: string | undefined, chosen: string])[] = [
  [undefined, undefined, 'nl en'],
  ['de', undefined, 'de'],
  ['de-CH, fr;q=0.9', 'en', 'de'],
  ['pt, fr;q=0.5, es;q=0.7', 'en', 'es'],
  ['fr;q=0, es', undefined, 'es'],
  ['*', 'fr-CA', 'fr'],
  ['pt-BR', 'sv', 'nl en'],
  [undefined, 'EN (English), DE', 'en'],
  ['den', 'enm', 'nl en'],
  ['de;q=abc', undefined, 'de'],
  ['x,'.repeat(20).concat('de'), undefined, 'nl en'],
];

for (const [accept, content, chosen] of cases) {
  test(`Accept-Language ${accept}, Content-Language ${content}: ${chosen}`, () => {
    assert.equal(chooseLanguages({ accept, content }, ['nl', 'en']).join(' '), chosen);
  });
}

test('without a list it is English', () => {
  assert.deepEqual(chooseLanguages({ accept: undefined, content: undefined }, []), ['en']);
});
