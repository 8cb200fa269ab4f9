// Reverse proxy with Coraza + OWASP CRS, for benchmarks and rule regression tests.
package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	txhttp "github.com/corazawaf/coraza/v3/http"
	"github.com/corazawaf/coraza/v3/types"
)

// reflect answers like the CRS test backend "albedo": POST /reflect gives back what the JSON body asks for.
func reflect(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/reflect") {
		fmt.Fprintln(w, "ok")
		return
	}
	var q struct {
		Status      int
		Headers     map[string]string
		Body        string
		EncodedBody string
	}
	b, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(b, &q); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	for k, v := range q.Headers {
		w.Header().Set(k, v)
	}
	if q.Status == 0 {
		q.Status = 200
	}
	w.WriteHeader(q.Status)
	if q.EncodedBody != "" {
		if d, err := base64.StdEncoding.DecodeString(q.EncodedBody); err == nil {
			w.Write(d)
			return
		}
	}
	io.WriteString(w, q.Body)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:18360", "")
	up := flag.String("upstream", "", "upstream URL; empty: answer 200 ok")
	pl := flag.Int("paranoia", 1, "")
	off := flag.Bool("off", false, "no WAF")
	ftw := flag.Bool("ftw", false, "settings for go-ftw: detection only, log every match with the marker header")
	logFile := flag.String("log", "", "error log file")
	flag.Parse()
	var h http.Handler = http.HandlerFunc(reflect)
	if *up != "" {
		u, err := url.Parse(*up)
		if err != nil {
			log.Fatal(err)
		}
		h = httputil.NewSingleHostReverseProxy(u)
	}
	if !*off {
		var out *os.File = os.Stderr
		if *logFile != "" {
			var err error
			if out, err = os.OpenFile(*logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
				log.Fatal(err)
			}
		}
		var mu sync.Mutex
		d := []string{"Include @coraza.conf-recommended"}
		if *ftw {
			d = append(d, ftwDirectives)
		} else {
			d = append(d, "SecRuleEngine On", fmt.Sprintf(`SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%d"`, *pl))
		}
		d = append(d, "Include @crs-setup.conf.example", "Include @owasp_crs/*.conf")
		waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(strings.Join(d, "\n")).
			WithErrorCallback(func(m types.MatchedRule) { mu.Lock(); fmt.Fprintln(out, m.ErrorLog()); mu.Unlock() }))
		if err != nil {
			log.Fatal(err)
		}
		h = txhttp.WrapHandler(waf, h)
	}
	log.Fatal(http.ListenAndServe(*listen, h))
}

// from the CRS tests/regression/README requirements
const ftwDirectives = `
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecDefaultAction "phase:3,log,auditlog,pass"
SecDefaultAction "phase:4,log,auditlog,pass"
SecDefaultAction "phase:5,log,auditlog,pass"
SecAction "id:900005,phase:1,nolog,pass,ctl:ruleEngine=DetectionOnly,setvar:tx.blocking_paranoia_level=4,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
SecRule REQUEST_HEADERS:X-CRS-Test "@rx ^.*$" "id:999999,pass,phase:1,log,msg:'X-CRS-Test %{MATCHED_VAR}',ctl:ruleRemoveById=1-999999"
`
