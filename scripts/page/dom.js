// dom: makes elements. Text is only ever text: what a message holds is never read as markup.

const SVG = 'http://www.w3.org/2000/svg'

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value != null) node.setAttribute(name, value)
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false))
  return node
}

export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children)
}

// Cells are text or elements; a column is { name, kind }, kind the class of its cells.
export function table(caption, columns, rows) {
  const head = el('tr', {}, columns.map((column) => el('th', { scope: 'col', class: column.kind }, column.name)))
  const body = rows.map((cells) => el('tr', {}, cells.map((cell, n) =>
    el('td', { 'data-name': columns[n].name || null, class: columns[n].kind }, cell ?? ''))))
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', { class: 'wide' }, el('caption', { class: 'hidden' }, caption), el('thead', {}, head),
      el('tbody', {}, body)))
}

export function pairs(list) {
  return el('dl', {}, list.filter(([, value]) => value != null && value !== '').map(([name, value]) =>
    [el('dt', {}, name), el('dd', {}, value instanceof Node ? value : String(value))]))
}

// A line over what was seen; the newest is at the right.
export function chart(values, label) {
  const most = Math.max(1, ...values)
  const step = 100 / Math.max(1, values.length - 1)
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${(28 - 26 * value / most).toFixed(1)}`)
  return svg('svg', { class: 'chart', viewBox: '0 0 100 30', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('polyline', { points: points.join(' ') }))
}
