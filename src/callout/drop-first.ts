/** Takes the first item out. Of queues that mostly hold one: to shift that is far slower than to pop it. */
export function dropFirst(queue: unknown[]): void {
  if (queue.length === 1) queue.pop();
  else queue.shift();
}
