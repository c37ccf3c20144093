/** Lists and queues that mostly hold one item: V8 is made for longer ones. */

/**
 * The list with `item` behind it. Of lists that mostly hold one: to push into an empty one sets memory aside for seventeen.
 */
export function append<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  list.push(item);
  return list;
}

/** Takes the first item out. Of queues that mostly hold one: to shift that is far slower than to pop it. */
export function dropFirst(queue: unknown[]): void {
  if (queue.length === 1) queue.pop();
  else queue.shift();
}
