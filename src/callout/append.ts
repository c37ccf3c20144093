/**
 * The list with `item` behind it. Of lists that mostly hold one: to push into an empty one sets memory aside for seventeen.
 */
export function append<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item];
  list.push(item);
  return list;
}
