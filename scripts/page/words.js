// words: all that the page says, in each of its languages. {0}, {1}: what belongs there.

export const words = {
  en: {
    skip: 'To the content', language: 'Language', cancel: 'Cancel', sections: 'Sections',
    now: 'Now', dead: 'Dead letters', waiting: 'Waiting', rules: 'Rules',
    well: 'All is well', problems: '{0} to look at', unreachable: 'The router does not answer: {0}', loading: 'Asking the router...',
    pending: 'Outbox', none_late: 'nothing is late',
    retries: 'Retries', handled: 'Handled', per_second: '{0} a second', sent: 'Sent', in_total: '{0} since the start',
    broker: 'Broker', unacked: '{0} in flight, {1} unacked', store: 'Store', wal: 'WAL {0} KiB',
    chart_of: '{0}, the last {1} seconds', rate: 'rate',
    p_stopped: 'Nothing is consumed: {0}', p_paused: 'No message is handled: {0}', p_broker: 'The broker is {0}: {1}',
    p_store: 'The WAL of the store cannot be emptied: {0}', p_queue: 'Every message of queue {0} fails alike, it is paused: {1}',
    p_hand: '{0} is paused by hand since {1}', p_trouble: '{0} {1}: {2}', p_rules: 'The last reload was refused: {0}',
    p_rules_wait: 'Rules on the disk are not in force yet: {0}', p_late: 'Rows of the outbox are late for {0}',
    p_retries_late: 'Retries of queue {0} are late for {1}', p_dead: '{0} dead letters', p_state: 'The router is {0}',
    fresh: 'fresh', in_flight: 'in flight', due: 'due', scheduled: 'scheduled, in good order', refused: 'refused by the broker, tried again',
    unheard: 'sent, and nothing was heard', outlet: 'their exchange or queue has no room', behind: 'behind an earlier one of their lane',
    outbox_why: 'The outbox: what waits and why', state: 'State', rows: 'Rows', next: 'Next at', late: 'Late for', attempts: 'Tries',
    retry_queues: 'Retries by queue', queue: 'Queue', due_now: 'Due', later: 'Later', in_lane: 'In a lane', last_error: 'Last error',
    groups: 'Dead letters by error', count: 'How many', error: 'Error', last: 'Last at', side: 'Side',
    no_dead: 'There is no dead letter.', nothing_found: 'Nothing is found.', search: 'Search', search_for: 'Business key or message id',
    type: 'Type', key: 'Business keys', id: 'Id', at: 'At', open: 'Letter {0}', back: 'All groups', letters_of: 'Letters: {0}',
    replay: 'Replay', replay_all: 'Replay all of this group', drop: 'Drop', drop_all: 'Drop all of this group', edit: 'Edit', save: 'Save',
    replay_asks: '{0} would be handled again. Do it?', drop_asks: '{0} would be deleted for good. Do it?', edit_asks: 'The body of letter {0}, as JSON. It is checked before it is written.',
    replayed: '{0} will be handled again', dropped: '{0} deleted', edited: 'Letter {0} is changed', no_json: 'This is no JSON: {0}',
    edit_dry: 'The router takes it. Write it?', write: 'Write',
    message_id: 'Message id', body: 'Body', story: 'What became of it', unknown: 'Not known', traceback: 'Where',
    outbox: 'Outbox', retry_list: 'Retries', due_at: 'Due at', reason: 'Reason', nothing_waits: 'Nothing waits.',
    generation: 'Generation', hash: 'Hash', routes: 'Routes', subscriptions: 'Subscriptions', handlers: 'Handlers', memory: 'Memory of Lua',
    reload: 'Reload', reload_asks: 'This would change:', reload_none: 'The files on the disk are what is in force.', reloaded: 'Generation {0} is in force',
    paused: 'Paused by hand', pause: 'Pause', resume: 'Resume', pause_publish: 'Pause all sending', pause_asks: 'Nothing of {0} goes on until somebody resumes it. Do it?',
    pause_publish_name: 'all sending', now_paused: '{0} is paused', now_resumed: '{0} goes on', nothing_paused: 'Nothing is paused by hand.',
    token_title: 'A token is wanted', token: 'Token', token_why: 'The router has admin.token_file set: enter what that file holds. It is kept until this window is closed.', enter: 'Enter',
    yes: 'Do it', ms: '{0} ms', seconds: '{0} s', minutes: '{0} min', hours: '{0} h', days: '{0} d',
  },
  zh: {
    skip: '跳到内容', language: '语言', cancel: '取消', sections: '栏目',
    now: '现在', dead: '死信', waiting: '等待中', rules: '规则',
    well: '一切正常', problems: '有 {0} 件事要看', unreachable: '路由器没有回答：{0}', loading: '正在询问路由器……',
    pending: '发件箱', none_late: '没有迟的',
    retries: '重试', handled: '已处理', per_second: '每秒 {0}', sent: '已发送', in_total: '启动以来 {0}',
    broker: '消息服务器', unacked: '{0} 条在途，{1} 条未确认', store: '存储', wal: 'WAL {0} KiB',
    chart_of: '{0}，最近 {1} 秒', rate: '速率',
    p_stopped: '什么都不接收：{0}', p_paused: '不处理任何消息：{0}', p_broker: '消息服务器：{0}：{1}',
    p_store: '存储的 WAL 无法清空：{0}', p_queue: '队列 {0} 的每条消息都同样失败，已暂停：{1}',
    p_hand: '{0} 自 {1} 起被手动停住', p_trouble: '{0} {1}：{2}', p_rules: '上一次重新加载被拒绝：{0}',
    p_rules_wait: '磁盘上的规则尚未生效：{0}', p_late: '发件箱的行迟了 {0}',
    p_retries_late: '队列 {0} 的重试迟了 {1}', p_dead: '{0} 封死信', p_state: '路由器：{0}',
    fresh: '新的', in_flight: '在途', due: '到时间了', scheduled: '定时，一切正常', refused: '被消息服务器拒绝，会再试',
    unheard: '已发出，没有回音', outlet: '它们的交换机或队列没有空位', behind: '排在同一通道较早的消息后面',
    outbox_why: '发件箱：什么在等待，为什么', state: '状态', rows: '行数', next: '下一次', late: '迟了', attempts: '次数',
    retry_queues: '各队列的重试', queue: '队列', due_now: '到时间', later: '以后', in_lane: '在通道里排队', last_error: '最近的错误',
    groups: '按错误分组的死信', count: '数量', error: '错误', last: '最近', side: '方向',
    no_dead: '没有死信。', nothing_found: '什么也没找到。', search: '查找', search_for: '业务键或消息标识',
    type: '类型', key: '业务键', id: '编号', at: '时间', open: '死信 {0}', back: '全部分组', letters_of: '死信：{0}',
    replay: '重放', replay_all: '重放整组', drop: '丢弃', drop_all: '丢弃整组', edit: '修改', save: '保存',
    replay_asks: '将再次处理 {0} 封。要做吗？', drop_asks: '将永远删除 {0} 封。要做吗？', edit_asks: '死信 {0} 的正文，JSON。写入之前会检查。',
    replayed: '将再次处理 {0} 封', dropped: '已删除 {0} 封', edited: '死信 {0} 已修改', no_json: '这不是 JSON：{0}',
    edit_dry: '路由器接受它。要写入吗？', write: '写入',
    message_id: '消息标识', body: '正文', story: '它后来怎样了', unknown: '不知道的', traceback: '位置',
    outbox: '发件箱', retry_list: '重试', due_at: '时间', reason: '原因', nothing_waits: '没有什么在等待。',
    generation: '代', hash: '哈希', routes: '路由', subscriptions: '订阅', handlers: '处理函数', memory: 'Lua 的内存',
    reload: '重新加载', reload_asks: '这会改变：', reload_none: '磁盘上的文件就是正在生效的。', reloaded: '第 {0} 代已生效',
    paused: '手动停住的', pause: '停住', resume: '继续', pause_publish: '停住全部发送', pause_asks: '在有人让它继续之前，{0} 不再往下走。要做吗？',
    pause_publish_name: '全部发送', now_paused: '{0} 已停住', now_resumed: '{0} 继续了', nothing_paused: '没有手动停住的。',
    token_title: '需要令牌', token: '令牌', token_why: '路由器设置了 admin.token_file：请输入那个文件的内容。窗口关闭之前一直保留。', enter: '输入',
    yes: '就这么做', ms: '{0} 毫秒', seconds: '{0} 秒', minutes: '{0} 分钟', hours: '{0} 小时', days: '{0} 天',
  },
}

const LANGUAGE = 'herald-language'
let language = localStorage.getItem(LANGUAGE) ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en')

export function current() {
  return language
}

export function choose(other) {
  language = other
  localStorage.setItem(LANGUAGE, other)
}

export function t(name, ...values) {
  return words[language][name].replace(/\{(\d)\}/g, (_, n) => values[n])
}

export function duration(ms) {
  if (ms < 1000) return t('ms', ms)
  if (ms < 120000) return t('seconds', Math.round(ms / 1000))
  if (ms < 7200000) return t('minutes', Math.round(ms / 60000))
  return ms < 172800000 ? t('hours', Math.round(ms / 3600000)) : t('days', Math.round(ms / 86400000))
}

export function time(text) {
  if (!text) return ''
  return new Date(text).toLocaleString(language === 'zh' ? 'zh-CN' : navigator.language, { dateStyle: 'short', timeStyle: 'medium' })
}
