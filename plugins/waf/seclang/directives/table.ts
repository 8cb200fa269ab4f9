import { addAction, addRule } from '../build-rule.ts'
import { removeRules, updateActions, updateTargets } from '../update-rules.ts'
import type { DirectiveWord } from './directive.ts'
import * as settings from './settings.ts'

const { fixed, noted } = settings
const ownLog = 'the gateway writes one audit record of its own for every request'
const noFiles = 'nothing is written to disk'
const inMemory = 'collections are kept in memory'
const linear = 'patterns run in linear time, so there is nothing to limit'

const change =
  (
    what: string,
    apply: (draft: Parameters<DirectiveWord>[0], words: readonly string[]) => number,
  ): DirectiveWord =>
  (draft, words, place) => {
    if (apply(draft, words) === 0)
      draft.notes.push({
        ...place,
        what: `${what} ${words[0] ?? ''}`,
        why: 'names no rule that came before it',
      })
  }

/** Every directive of SecLang that there is here but Include, by its name in lower case. */
const directives: Readonly<Record<string, DirectiveWord>> = {
  secaction: addAction,
  secargumentseparator: fixed('&'),
  secargumentslimit: settings.secArgumentsLimit,
  secauditengine: noted('SecAuditEngine', ownLog),
  secauditlog: noted('SecAuditLog', ownLog),
  secauditlog2: noted('SecAuditLog2', ownLog),
  secauditlogdirmode: noted('SecAuditLogDirMode', ownLog),
  secauditlogfilemode: noted('SecAuditLogFileMode', ownLog),
  secauditlogformat: noted('SecAuditLogFormat', ownLog),
  secauditlogparts: noted('SecAuditLogParts', ownLog),
  secauditlogrelevantstatus: noted('SecAuditLogRelevantStatus', ownLog),
  secauditlogstoragedir: noted('SecAuditLogStorageDir', ownLog),
  secauditlogtype: noted('SecAuditLogType', ownLog),
  seccollectiontimeout: settings.secCollectionTimeout,
  seccomponentsignature: (draft, words) => {
    draft.signatures.push(words.join(' '))
  },
  seccookieformat: fixed('0'),
  secdatadir: noted('SecDataDir', inMemory),
  secdebuglog: noted('SecDebugLog', 'use `sallyport waf explain`'),
  secdebugloglevel: noted('SecDebugLogLevel', 'use `sallyport waf explain`'),
  secdefaultaction: settings.secDefaultAction,
  secgeolookupdb: settings.secGeoLookupDb,
  sechttpblkey: settings.secHttpBlKey,
  secmarker: (draft, words) => {
    if (draft.chainOpen) throw new TypeError('the chain before it is not finished')
    draft.entries.push({ kind: 'marker', name: words.join(' ') })
  },
  secpcrematchlimit: noted('SecPcreMatchLimit', linear),
  secpcrematchlimitrecursion: noted('SecPcreMatchLimitRecursion', linear),
  secrequestbodyaccess: settings.secRequestBodyAccess,
  secrequestbodyinmemorylimit: noted('SecRequestBodyInMemoryLimit', noFiles),
  secrequestbodyjsondepthlimit: settings.secRequestBodyJsonDepthLimit,
  secrequestbodylimit: settings.secRequestBodyLimit,
  secrequestbodylimitaction: settings.secRequestBodyLimitAction,
  secrequestbodynofileslimit: noted(
    'SecRequestBodyNoFilesLimit',
    'files count too: see SecRequestBodyLimit',
  ),
  secresponsebodyaccess: settings.secResponseBodyAccess,
  secresponsebodylimit: settings.secResponseBodyLimit,
  secresponsebodylimitaction: settings.secResponseBodyLimitAction,
  secresponsebodymimetype: settings.secResponseBodyMimeType,
  secresponsebodymimetypesclear: settings.secResponseBodyMimeTypesClear,
  secrule: addRule,
  secruleengine: settings.secRuleEngine,
  secruleremovebyid: change('SecRuleRemoveById', removeRules('Id')),
  secruleremovebymsg: change('SecRuleRemoveByMsg', removeRules('Msg')),
  secruleremovebytag: change('SecRuleRemoveByTag', removeRules('Tag')),
  secruleupdateactionbyid: change('SecRuleUpdateActionById', updateActions),
  secruleupdatetargetbyid: change('SecRuleUpdateTargetById', updateTargets('Id')),
  secruleupdatetargetbymsg: change('SecRuleUpdateTargetByMsg', updateTargets('Msg')),
  secruleupdatetargetbytag: change('SecRuleUpdateTargetByTag', updateTargets('Tag')),
  secsensorid: noted('SecSensorId', ownLog),
  secserversignature: noted('SecServerSignature', 'the gateway sends no Server header'),
  secstatusengine: noted('SecStatusEngine', 'nothing is reported to anyone'),
  sectmpdir: noted('SecTmpDir', noFiles),
  // Code page 20127 is built in, and what CRS expects.
  secunicodemapfile: (_, words) => fixed('20127')(_, words.slice(-1), { file: '', line: 0 }),
  secuploaddir: noted('SecUploadDir', noFiles),
  secuploadfilelimit: settings.secUploadFileLimit,
  secuploadfilemode: noted('SecUploadFileMode', noFiles),
  secuploadkeepfiles: noted('SecUploadKeepFiles', noFiles),
  secwebappid: noted('SecWebAppId', inMemory),
  secxmlexternalentity: fixed('Off'),
}

/** `Object.hasOwn`, because a file may name `constructor`. */
export const findDirective = (name: string): DirectiveWord | undefined => {
  const lower = name.toLowerCase()
  return Object.hasOwn(directives, lower) ? directives[lower] : undefined
}
