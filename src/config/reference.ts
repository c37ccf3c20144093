/** The two pages made from the schema: one for editors, one for readers. */
import { jsonSchema, type SchemaNode } from './translate.ts';

/** The text of `schema/opes.schema.json`. */
export function jsonSchemaText(): string {
  const { ...schema } = jsonSchema();
  const head = { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Configuration of opes' };
  return `${JSON.stringify({ ...schema, ...head }, undefined, 2)}\n`;
}

/** The text of `docs/configuration.md`. */
export function referencePage(): string {
  const rows: string[] = [];
  addRows(rows, jsonSchema(), '');
  return `# Configuration

One YAML file, named by \`opes start --config FILE\`. Unknown keys are errors. \`opes check --config FILE\` says what is wrong
with it, with line and column, or what it comes to. Editors that know JSON Schema complete and check it with this first line:

\`\`\`yaml
# yaml-language-server: $schema=./schema/opes.schema.json
\`\`\`

Sizes carry a unit (\`500KB\`, \`50MB\`: thousands; \`64KiB\`: 1024), durations too (\`500ms\`, \`30s\`, \`4m\`, \`1h\`). Relative paths start
at the directory of the file. \`examples/demo.yaml\` is what \`npm start\` runs.

This page is generated from the schema.

| key | values | default | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}

function addRows(rows: string[], node: SchemaNode, path: string): void {
  const required = new Set(node.required ?? []);
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const here = path === '' ? key : `${path}.${key}`;
    const cells = [`\`${here}\``, values(child), byDefault(child, required.has(key)), cell(child.description ?? '')];
    rows.push(`| ${cells.join(' | ')} |`);
    for (const deeper of [child, ...(child.anyOf ?? [])]) {
      if (typeof deeper.additionalProperties === 'object') addRows(rows, deeper.additionalProperties, `${here}.NAME`);
      else if (deeper.items !== undefined) addRows(rows, deeper.items, `${here}[]`);
      else addRows(rows, deeper, here);
    }
  }
}

function values(node: SchemaNode): string {
  if (node.const !== undefined) return `\`${JSON.stringify(node.const)}\``;
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(' ');
  if (node.anyOf !== undefined) return node.anyOf.map(values).join(' or ');
  if (node.items !== undefined) return node.items.properties === undefined ? `list of ${values(node.items)}` : 'list';
  if (node.type === 'object') return 'map';
  if (node.type === 'boolean') return '`true` `false`';
  return node.type === 'integer' ? 'number' : 'text';
}

function byDefault(node: SchemaNode, required: boolean): string {
  if (node.default === undefined) return required ? 'required' : '';
  return `\`${typeof node.default === 'string' ? node.default : JSON.stringify(node.default)}\``;
}

const cell = (text: string) => text.replaceAll('|', '\\|');
