// What processes cost, read from /proc: CPU of whole trees in 10 ms ticks, memory, and what the machine did besides.
import fs from 'node:fs';

const HZ = 100;

function stat(pid) {
  const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  const f = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // Own ticks and those of children already waited for.
  return { parent: Number(f[1]), user: Number(f[11]) + Number(f[13]), system: Number(f[12]) + Number(f[14]) };
}

/** The processes below these, themselves included. */
export function tree(roots) {
  const stats = new Map();
  const children = new Map();
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const s = stat(entry);
      stats.set(Number(entry), s);
      children.set(s.parent, [...(children.get(s.parent) ?? []), Number(entry)]);
    } catch {
      // gone in between
    }
  }
  const found = new Map();
  const todo = [...roots];
  while (todo.length > 0) {
    const pid = todo.pop();
    const s = stats.get(pid);
    if (s === undefined || found.has(pid)) continue;
    found.set(pid, s);
    todo.push(...(children.get(pid) ?? []));
  }
  return found;
}

/** Seconds of CPU so far: {user, system}. */
export function cpu(roots) {
  let [user, system] = [0, 0];
  for (const s of roots.length > 0 ? tree(roots).values() : []) {
    user += s.user;
    system += s.system;
  }
  return { user: user / HZ, system: system / HZ };
}

/** Seconds of CPU of the whole machine: what is not ours is a neighbour's. */
export function machine() {
  const f = fs.readFileSync('/proc/stat', 'latin1').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
  return (f[0] + f[1] + f[2] + f[5] + f[6] + f[7]) / HZ;
}

/** Seconds of CPU of children this process has waited for (the load generator). */
export function waitedFor() {
  const f = fs.readFileSync('/proc/self/stat', 'latin1').split(') ')[1].split(' ');
  return (Number(f[13]) + Number(f[14])) / HZ;
}

/** Memory of the trees in KiB: proportional set now, and the sum of each process's peak resident set. */
export function memory(roots) {
  let [pss, peak] = [0, 0];
  for (const pid of tree(roots).keys()) {
    try {
      pss += Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0);
      peak += Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      // gone in between
    }
  }
  return { pss, peak };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function median(values) {
  const s = [...values].sort((a, b) => a - b);
  return s.length === 0 ? undefined : (s[(s.length - 1) >> 1] + s[s.length >> 1]) / 2;
}

/** Four digits are more than these figures are worth. */
export const short = (x) => (x === undefined ? undefined : Number(x.toPrecision(4)));
