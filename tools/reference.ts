/** Writes the pages that are generated from the configuration's schema; a test fails while they are not current. */
import { writeFileSync } from 'node:fs';
import { jsonSchemaText, referencePage } from '../src/config/index.ts';

const root = new URL('../', import.meta.url);
writeFileSync(new URL('schema/opes.schema.json', root), jsonSchemaText());
writeFileSync(new URL('docs/configuration.md', root), referencePage());
