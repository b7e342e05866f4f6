// app: the page's frame, its sections, and what it learns from the router every two seconds.

import { get, post, setToken, Refused } from './api.js'
import { view as dead } from './dead.js'
import { confirm, enter } from './dialog.js'
import { chart, el, pairs, table } from './dom.js'
import { problems } from './problems.js'
import { choose, current, duration, t, time } from './words.js'

const POLL_MS = 2000
const SEEN_MAX = 60
const main = document.getElementById('main')
const seen = [] // { at, handled, sent } of the last polls
let status = null
let trouble = null
let section = { name: 'now', what: {} }
let asking_token = false

const page = {
  say(text) {
    const said = document.getElementById('said')
    said.textContent = text
    clearTimeout(page.quiet)
    page.quiet = setTimeout(() => said.replaceChildren(), 8000)
  },
  guard(act) {
    return async () => {
      try {
        await act()
      } catch (problem) {
        await tell(problem)
      }
    }
  },
  show(name, what = {}) {
    section = { name, what }
    draw_frame()
    return draw(true)
  },
}

async function tell(problem) {
  if (!(problem instanceof Refused) || problem.status !== 401) {
    page.say(problem.message)
    return
  }
  if (asking_token) return
  asking_token = true
  const field = el('input', { type: 'password', 'aria-label': t('token'), autocomplete: 'off' })
  const token = await enter(t('token_title'), t('token_why'), field, t('enter'))
  if (token !== null) setToken(token.trim())
  asking_token = false
  await poll()
  await draw()
}

// --- what is learnt ---

function note(s) {
  const counters = s.counters ?? {}
  seen.push({ at: Date.now(), handled: counters.handled ?? 0, sent: counters.confirmed ?? 0 })
  if (seen.length > SEEN_MAX) seen.shift()
}

function rates(name) {
  return seen.slice(1).map((now, n) => Math.max(0, (now[name] - seen[n][name]) * 1000 / Math.max(1, now.at - seen[n].at)))
}

async function poll() {
  if (document.hidden) return
  try {
    status = await get('/v1/status')
    trouble = null
    note(status)
  } catch (problem) {
    trouble = problem
    if (problem instanceof Refused && problem.status === 401) await tell(problem)
  }
  draw_verdict()
  if (section.name === 'now') await draw()
}

// --- what is shown ---

function draw_verdict() {
  const list = status ? problems(status) : []
  const verdict = document.getElementById('verdict')
  const text = trouble ? t('unreachable', trouble.message) : !status ? t('loading')
    : list.length > 0 ? t('problems', list.length) : t('well')
  verdict.className = trouble || list.some((p) => p.level === 'bad') ? 'bad' : list.length > 0 ? 'warn' : 'good'
  if (verdict.textContent !== text) verdict.textContent = text // else it would be read aloud each time
}

function card(name, figure, more, picture) {
  return el('section', { class: 'card' }, el('h3', {}, name), el('div', { class: 'figure' }, figure), more && el('p', {}, more), picture)
}

function rate_card(name, key) {
  const list = rates(key)
  const last = list.length > 0 ? list[list.length - 1] : 0
  return card(t(name), t('per_second', last.toFixed(last < 10 ? 1 : 0)), t('in_total', seen[seen.length - 1][key]),
    chart(list, t('chart_of', `${t(name)}, ${t('rate')}`, SEEN_MAX * POLL_MS / 1000)))
}

function problem_item(p) {
  const text = p.go ? el('button', { type: 'button', class: 'link', onclick: () => page.show(p.go) }, p.text) : p.text
  return el('li', { class: p.level }, text)
}

const STATES = ['fresh', 'in_flight', 'due', 'scheduled', 'refused', 'unheard', 'outlet', 'behind']

function outbox_table(outbox) {
  const rows = STATES.filter((name) => outbox[name]?.rows > 0).map((name) => {
    const state = outbox[name]
    return [t(name), `${state.rows}${state.more ? '+' : ''}`, state.late_ms > 0 ? duration(state.late_ms) : '', time(state.next_due),
      state.attempts > 0 ? String(state.attempts) : '']
  })
  if (rows.length === 0) return el('p', {}, t('nothing_waits'))
  return table(t('outbox_why'), [{ name: t('state') }, { name: t('rows'), kind: 'number' }, { name: t('late') },
    { name: t('next'), kind: 'time' }, { name: t('attempts'), kind: 'number' }], rows)
}

function queues_table(list) {
  if (list.length === 0) return el('p', {}, t('nothing_waits'))
  return table(t('retry_queues'), [{ name: t('queue') }, { name: t('due_now'), kind: 'number' }, { name: t('later'), kind: 'number' },
    { name: t('in_lane'), kind: 'number' }, { name: t('next'), kind: 'time' }, { name: t('last_error') }],
  list.map((q) => [q.queue, String(q.due), String(q.later), String(q.behind), time(q.next_due), q.error]))
}

function now() {
  if (!status) return [el('p', {}, trouble ? t('unreachable', trouble.message) : t('loading'))]
  const list = problems(status)
  const late = status.outbox.late_ms > 0 ? t('p_late', duration(status.outbox.late_ms)) : t('none_late')
  return [
    list.length > 0 && el('ul', { class: 'problems' }, list.map(problem_item)),
    el('div', { class: 'cards' }, rate_card('handled', 'handled'), rate_card('sent', 'sent'),
      card(t('pending'), String(status.outbox.pending), late), card(t('retries'), String(status.retries)),
      card(t('dead'), String(status.dead)),
      card(t('broker'), status.broker.state, t('unacked', status.broker.in_flight ?? 0, status.broker.unacked ?? 0)),
      card(t('store'), status.store.path, t('wal', Math.round(status.store.wal_bytes / 1024)))),
    el('h2', {}, t('outbox_why')), outbox_table(status.outbox),
    el('h2', {}, t('retry_queues')), queues_table(status.retry_queues ?? []),
  ]
}

async function waiting() {
  const [outbox, retries] = await Promise.all([get('/v1/outbox'), get('/v1/retries')])
  const columns = [{ name: t('id') }, { name: t('due_at'), kind: 'time' }, { name: t('type') }, { name: t('key') },
    { name: t('attempts'), kind: 'number' }, { name: t('reason') }]
  const list = (title, rows) => [el('h2', {}, title), rows.length > 0 ? table(title, columns, rows.map((r) => [String(r.id),
    time(r.due_at), r.type, [r.business_key1, r.business_key2, r.business_key3].filter(Boolean).join(', '),
    String(r.attempts ?? ''), r.error ?? r.reason])) : el('p', {}, t('nothing_waits'))]
  return [list(t('outbox'), outbox), list(t('retry_list'), retries)]
}

async function reload() {
  const dry = await post('/v1/reload', { dry_run: true })
  const changes = dry.changes.map((c) => el('li', {}, `${c.change} ${c.what} ${c.name}`))
  const content = changes.length > 0 ? el('div', {}, el('p', {}, t('reload_asks')), el('ul', {}, changes)) : el('p', {}, t('reload_none'))
  if (!await confirm(t('reload'), content, t('reload'))) return
  const done = await post('/v1/reload', {})
  page.say(t('reloaded', done.generation))
  await poll()
  await draw()
}

async function set_pause(what, on) {
  const name = what === 'publish' ? t('pause_publish_name') : what
  if (on && !await confirm(t('pause'), t('pause_asks', name), t('pause'))) return
  await post(on ? '/v1/pause' : '/v1/resume', { what })
  page.say(t(on ? 'now_paused' : 'now_resumed', name))
  await poll()
  await draw()
}

function paused_list(list) {
  if (list.length === 0) return el('p', {}, t('nothing_paused'))
  return el('ul', {}, list.map((h) => el('li', {}, t('p_hand', h.what, time(h.since)), ' ',
    el('button', { type: 'button', onclick: page.guard(() => set_pause(h.what, false)) }, t('resume')))))
}

function pause_form() {
  const queue = el('input', { 'aria-label': t('queue'), placeholder: t('queue'), required: true })
  return el('form', { class: 'search', onsubmit: (event) => { event.preventDefault(); page.guard(() => set_pause(queue.value, true))() } },
    queue, el('button', {}, t('pause')),
    el('button', { type: 'button', onclick: page.guard(() => set_pause('publish', true)) }, t('pause_publish')))
}

function rules() {
  if (!status) return [el('p', {}, t('loading'))]
  const r = status.rules
  return [
    r.error && el('p', { class: 'bad' }, t('p_rules', r.error)),
    r.waiting && el('p', { class: 'warn' }, t('p_rules_wait', r.waiting)),
    pairs([[t('generation'), r.generation], [t('hash'), r.hash], [t('routes'), r.routes], [t('subscriptions'), r.subscriptions],
      [t('handlers'), r.handlers], [t('memory'), r.memory != null ? `${Math.round(r.memory / 1024)} KiB` : null]]),
    el('p', { class: 'actions' }, el('button', { type: 'button', onclick: page.guard(reload) }, t('reload'))),
    el('h2', {}, t('paused')), paused_list(status.paused_by_hand ?? []), pause_form(),
  ]
}

const sections = { now, dead: () => dead(page, section.what), waiting, rules }

async function draw(move = false) {
  const drawn = section
  try {
    const content = await sections[drawn.name]()
    if (drawn !== section) return // somebody went on
    main.replaceChildren(...content.flat(Infinity).filter(Boolean))
    if (move) main.focus({ preventScroll: true })
  } catch (problem) {
    await tell(problem)
  }
}

function draw_frame() {
  document.documentElement.lang = current() === 'zh' ? 'zh-CN' : 'en'
  for (const node of document.querySelectorAll('[data-word]')) node.textContent = t(node.dataset.word)
  document.getElementById('language').value = current()
  const nav = document.getElementById('nav')
  nav.setAttribute('aria-label', t('sections'))
  nav.replaceChildren(...Object.keys(sections).map((name) => el('button', { type: 'button', 'aria-current': section.name === name && 'page',
    onclick: () => page.show(name) }, t(name))))
}

document.getElementById('language').addEventListener('change', (event) => {
  choose(event.target.value)
  draw_frame()
  draw_verdict()
  draw()
})
document.addEventListener('visibilitychange', () => poll())
draw_frame()
draw_verdict()
await poll()
draw()
setInterval(poll, POLL_MS)
