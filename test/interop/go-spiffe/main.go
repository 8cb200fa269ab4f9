// Asks go-spiffe what it makes of what Sallyport issues: a list of questions as JSON on standard input, as many answers
// on standard output.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type question struct {
	Kind        string `json:"kind"`
	TrustDomain string `json:"trustDomain"`
	Bundle      string `json:"bundle"`   // JSON
	Token       string `json:"token"`    // of jwt-svid
	Audience    string `json:"audience"` // of jwt-svid
	Chain       string `json:"chain"`    // PEM, of x509-svid
	URL         string `json:"url"`      // of https_web and https_spiffe
	Roots       string `json:"roots"`    // PEM, of https_web
	EndpointID  string `json:"endpointId"`
}

type answer struct {
	OK                 bool           `json:"ok"`
	Error              string         `json:"error,omitempty"`
	SpiffeID           string         `json:"spiffeId,omitempty"`
	URIs               int            `json:"uris,omitempty"`
	DigitalSignature   bool           `json:"digitalSignature,omitempty"`
	ServerAndClient    bool           `json:"serverAndClient,omitempty"`
	CriticalExtensions []string       `json:"criticalExtensions,omitempty"`
	Sequence           uint64         `json:"sequence,omitempty"`
	RefreshHintSeconds float64        `json:"refreshHintSeconds,omitempty"`
	X509Authorities    int            `json:"x509Authorities,omitempty"`
	JWTAuthorities     int            `json:"jwtAuthorities,omitempty"`
	Claims             map[string]any `json:"claims,omitempty"`
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := make([]answer, len(questions))
	for i, q := range questions {
		answers[i] = judge(q)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func judge(q question) answer {
	trustDomain, err := spiffeid.TrustDomainFromString(q.TrustDomain)
	if err != nil {
		return failed(err)
	}
	if q.Kind == "https_web" {
		return fetched(trustDomain, q.URL, federation.WithWebPKIRoots(poolOf(q.Roots)))
	}
	bundle, err := spiffebundle.Parse(trustDomain, []byte(q.Bundle))
	if err != nil {
		return failed(err)
	}
	switch q.Kind {
	case "bundle":
		return about(bundle)
	case "https_spiffe":
		endpoint, err := spiffeid.FromString(q.EndpointID)
		if err != nil {
			return failed(err)
		}
		return fetched(trustDomain, q.URL, federation.WithSPIFFEAuth(bundle, endpoint))
	case "jwt-svid":
		svid, err := jwtsvid.ParseAndValidate(q.Token, bundle, []string{q.Audience})
		if err != nil {
			return failed(err)
		}
		return answer{OK: true, SpiffeID: svid.ID.String(), Claims: svid.Claims}
	case "x509-svid":
		return verified(q.Chain, bundle)
	default:
		return failed(errors.New("unknown kind of question"))
	}
}

func verified(chain string, bundle *spiffebundle.Bundle) answer {
	certificates, err := certificatesOf(chain)
	if err != nil {
		return failed(err)
	}
	id, _, err := x509svid.Verify(certificates, bundle)
	if err != nil {
		return failed(err)
	}
	leaf := certificates[0]
	usages := map[x509.ExtKeyUsage]bool{}
	for _, usage := range leaf.ExtKeyUsage {
		usages[usage] = true
	}
	var critical []string
	for _, extension := range leaf.Extensions {
		if extension.Critical {
			critical = append(critical, extension.Id.String())
		}
	}
	return answer{
		OK:                 true,
		SpiffeID:           id.String(),
		URIs:               len(leaf.URIs),
		DigitalSignature:   leaf.KeyUsage == x509.KeyUsageDigitalSignature,
		ServerAndClient:    usages[x509.ExtKeyUsageServerAuth] && usages[x509.ExtKeyUsageClientAuth],
		CriticalExtensions: critical,
	}
}

func fetched(trustDomain spiffeid.TrustDomain, url string, options ...federation.FetchOption) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	bundle, err := federation.FetchBundle(ctx, trustDomain, url, options...)
	if err != nil {
		return failed(err)
	}
	return about(bundle)
}

func about(bundle *spiffebundle.Bundle) answer {
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	return answer{
		OK:                 true,
		Sequence:           sequence,
		RefreshHintSeconds: hint.Seconds(),
		X509Authorities:    len(bundle.X509Authorities()),
		JWTAuthorities:     len(bundle.JWTAuthorities()),
	}
}

func certificatesOf(text string) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return certificates, nil
}

func poolOf(text string) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(text))
	return pool
}

func failed(err error) answer {
	return answer{Error: err.Error()}
}
