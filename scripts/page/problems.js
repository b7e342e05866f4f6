// problems: what somebody has to look at, the worst first: { level, text, go }.

import { duration, t, time } from './words.js'

function of_router(s, add) {
  if (s.state && !['running', 'paused'].includes(s.state)) add('bad', t('p_state', s.state))
  if (s.paused_for) add('bad', t('p_paused', s.paused_for))
  if (s.stopped_for) add('bad', t('p_stopped', s.stopped_for))
  for (const p of s.paused ?? []) add('bad', t('p_queue', p.queue, p.error))
  if (s.rules.error) add('warn', t('p_rules', s.rules.error), 'rules')
  if (s.rules.waiting) add('warn', t('p_rules_wait', s.rules.waiting), 'rules')
  for (const h of s.paused_by_hand ?? []) add('warn', t('p_hand', h.what, time(h.since)), 'rules')
}

function of_broker(b, add) {
  if (!['up', 'embedded'].includes(b.state)) add('bad', t('p_broker', b.state, b.error || ''))
  for (const trouble of b.troubles ?? []) {
    if (!trouble.standby) add('warn', t('p_trouble', trouble.what, trouble.name, trouble.why))
  }
}

export function problems(s) {
  const list = []
  const add = (level, text, go) => list.push({ level, text, go })
  of_router(s, add)
  of_broker(s.broker, add)
  if (s.store.trouble) add('bad', t('p_store', s.store.trouble))
  if (s.outbox.late_ms >= 60000) add('bad', t('p_late', duration(s.outbox.late_ms)), 'waiting')
  for (const q of s.retry_queues ?? []) {
    if (q.late_ms >= 60000) add('bad', t('p_retries_late', q.queue, duration(q.late_ms)), 'waiting')
  }
  if (s.dead > 0) add('warn', t('p_dead', s.dead), 'dead')
  return list.sort((a, b) => (a.level === 'bad' ? 0 : 1) - (b.level === 'bad' ? 0 : 1))
}
