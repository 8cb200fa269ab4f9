import type { Action } from './action.ts'
import { ctl } from './control.ts'
import { allow, block, deny, drop, pass, redirect, status } from './disruption.ts'
import {
  auditlog,
  capture,
  chain,
  log,
  multiMatch,
  noauditlog,
  nolog,
  skip,
  skipAfter,
  t,
} from './flow.ts'
import { id, logdata, msg, phase, remark, severity, tag, ver } from './identity.ts'
import { deprecatevar, expirevar, initcol, nameCollection, setenv, setvar } from './variable.ts'

/** Every action of SecLang that there is here, by its name in lower case. */
export const actions = {
  accuracy: remark,
  allow,
  auditlog,
  block,
  capture,
  chain,
  ctl,
  deny,
  deprecatevar,
  drop,
  expirevar,
  id,
  initcol,
  log,
  logdata,
  maturity: remark,
  msg,
  multimatch: multiMatch,
  noauditlog,
  nolog,
  pass,
  phase,
  redirect,
  rev: remark,
  setenv,
  setrsc: nameCollection('RESOURCE'),
  setsid: nameCollection('SESSION'),
  setuid: nameCollection('USER'),
  setvar,
  severity,
  skip,
  skipafter: skipAfter,
  status,
  t,
  tag,
  ver,
  xmlns: remark,
} as const satisfies Record<string, Action>

/** `Object.hasOwn`, because a rule may name `constructor`. */
export const findAction = (name: string): Action | undefined => {
  const lower = name.toLowerCase()
  return Object.hasOwn(actions, lower) ? actions[lower as keyof typeof actions] : undefined
}
