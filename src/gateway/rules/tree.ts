/**
 * What is looked at in an expression's tree before its types are checked: which facts it reads, and the mistakes that
 * types cannot show. Literals are made ready here, so that nothing is parsed or compiled while mail runs.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { FACTS, LINEAR_MATCHES, type Literals, PRESENT, TEXT_MAPS } from './environment.ts';
import type { FactName } from './facts.ts';
import { parseNetwork } from './network.ts';
import { suggest } from './suggest.ts';

export interface TreeFault {
  /** Offset in the expression. */
  readonly at: number;
  readonly message: string;
  readonly suggestion?: string | undefined;
}

const SIDES = ['sender', 'recipient'];
/** Macros that name a variable of their own in the first argument. */
const BINDING = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

export class Tree {
  readonly reads = new Set<FactName>();
  readonly #literals: Literals;
  #fault: TreeFault | undefined;

  constructor(literals: Literals) {
    this.#literals = literals;
  }

  /** Walks the whole tree. The first fault, if there is one. */
  look(root: ASTNode): TreeFault | undefined {
    this.#visit(root, undefined);
    return this.#fault;
  }

  #visit(node: ASTNode, parent: ASTNode | undefined): void {
    if (this.#fault !== undefined) return;
    if (node.op === 'id') {
      if (isFact(node.args)) this.reads.add(node.args);
      return;
    }
    if (node.op === 'call') this.#onCall(node.args[0], node.args[1], node);
    else if (node.op === 'rcall') this.#onMethod(node);
    else if (node.op === '.') this.#onField(node, parent);
    else if (node.op === 'in' && node.args[1].op === 'list') this.#onSide(node.args[0], node.args[1].args);
    else if (node.op === '==' || node.op === '!=') {
      this.#onSide(node.args[0], [node.args[1]]);
      this.#onSide(node.args[1], [node.args[0]]);
    }
    for (const child of children(node)) this.#visit(child, node);
  }

  /**
   * A map of texts may be asked, but not carried elsewhere: where a rule could no longer be seen to ask `in` of it, a
   * missing name would count as there.
   */
  #onField(node: Extract<ASTNode, { op: '.' }>, parent: ASTNode | undefined): void {
    const [owner, field] = node.args;
    if (owner.op !== 'id' || TEXT_MAPS.get(owner.args) !== field) {
      if (field === PRESENT) this.#fail(node, `there is no field '${field}'`);
      return;
    }
    if (parent?.op === 'in' && parent.args[1] === node) {
      node.args[1] = PRESENT;
      return;
    }
    if (parent !== undefined && isAsked(node, parent)) return;
    const name = `${owner.args}.${field}`;
    this.#fail(node, `${name} is no value of its own; read one of its names`, `${name}['name']`);
  }

  #onCall(name: string, args: readonly ASTNode[], node: ASTNode): void {
    if (name === 'has') {
      const message = "has() is not needed: all fields are there, and a missing header reads as ''";
      this.#fail(node, message, "'name' in message.headers");
    } else if (name === 'inNetwork' && args[1] !== undefined) {
      for (const network of args[1].op === 'list' ? args[1].args : [args[1]]) this.#onNetwork(network);
    }
  }

  #onNetwork(node: ASTNode): void {
    const text = literalText(node);
    const network = text === undefined ? undefined : parseNetwork(text);
    if (text === undefined) {
      this.#fail(node, 'a network must be a text in quotes, so that it can be checked now');
    } else if (network === undefined) {
      this.#fail(node, `'${text}' is not a network like 10.0.0.0/8 or 2001:db8::/32`);
    } else {
      this.#literals.networks.set(text, network);
    }
  }

  #onMethod(node: Extract<ASTNode, { op: 'rcall' }>): void {
    const [name, , args] = node.args;
    const [first] = args;
    if (name === 'matches' && args.length === 1 && first !== undefined) {
      this.#onPattern(first);
      node.args[0] = LINEAR_MATCHES;
    } else if (BINDING.has(name) && first?.op === 'id' && isFact(first.args)) {
      this.#fail(first, `'${first.args}' is a variable of rules and cannot be used for the elements`, 'x');
    }
  }

  #onPattern(node: ASTNode): void {
    const text = literalText(node);
    if (text === undefined) {
      this.#fail(node, 'a pattern must be a text in quotes, so that it can be checked now');
      return;
    }
    try {
      this.#literals.patterns.set(text, RE2JS.compile(text));
    } catch (error) {
      this.#fail(node, `not a pattern in RE2 syntax: ${error instanceof Error ? error.message : 'unreadable'}`);
    }
  }

  /** A side has two values; comparing it with anything else is a rule that never or always holds. */
  #onSide(node: ASTNode, values: readonly ASTNode[]): void {
    if (node.op !== '.' || node.args[1] !== 'side' || node.args[0].op !== 'id' || node.args[0].args !== 'listener')
      return;
    for (const value of values) {
      const text = literalText(value);
      if (text === undefined || SIDES.includes(text)) continue;
      this.#fail(value, `listener.side is 'sender' or 'recipient', never '${text}'`, quoted(suggest(text, SIDES)));
    }
  }

  #fail(node: ASTNode, message: string, suggestion?: string): void {
    this.#fault ??= { at: node.start, message, suggestion };
  }
}

/** Whether the map is read by name, counted, or gone through by a macro. */
function isAsked(map: ASTNode, parent: ASTNode): boolean {
  if (parent.op === '.' || parent.op === '[]') return parent.args[0] === map;
  if (parent.op === 'rcall') return parent.args[1] === map;
  return parent.op === 'call' && parent.args[0] === 'size';
}

function quoted(text: string | undefined): string | undefined {
  return text === undefined ? undefined : `'${text}'`;
}

function isFact(name: string): name is FactName {
  return FACTS.has(name as FactName);
}

function literalText(node: ASTNode): string | undefined {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

/** The nodes among a node's operands, which are nodes, names, and lists of both. */
function children(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (isNode(value)) found.push(value);
  };
  collect(node.args);
  return found;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
