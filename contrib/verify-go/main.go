// Verify a bundle of Padan's match log offline: the verifier in another language.
//
// It follows docs/log-format.md and shares no code with Padan: trees, proofs and signed notes are
// golang.org/x/mod's (sumdb/tlog, sumdb/note), signatures the standard library's. Verdicts, their
// order and the exit codes are those of `padan audit verify`.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
)

type finding struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

type report struct {
	Verdict  string         `json:"verdict"`
	Origin   string         `json:"origin"`
	Size     int64          `json:"size"`
	Root     string         `json:"root"`
	Since    *int64         `json:"since"`
	Entries  map[string]int `json:"entries"`
	Bodies   int            `json:"bodies"`
	Findings []finding      `json:"findings"`
}

func main() {
	trustPath := flag.String("trust", "", "trust file, obtained out of band")
	sincePath := flag.String("since", "", "checkpoint kept from an earlier verification")
	leafPath := flag.String("leaf", "", "entry whose receipt (.tlog-proof) is given in place of a bundle")
	asJSON := flag.Bool("json", false, "print the report as JSON")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: verify [-trust FILE] [-since CHECKPOINT] [-json] BUNDLE")
		fmt.Fprintln(os.Stderr, "       verify -trust FILE -leaf ENTRY RECEIPT")
		os.Exit(2)
	}
	var policy *trust
	var since []byte
	var err error
	if *trustPath != "" {
		data, readErr := os.ReadFile(*trustPath)
		if err = readErr; err == nil {
			policy, err = parseTrust(data)
		}
	}
	if *sincePath != "" && err == nil {
		since, err = os.ReadFile(*sincePath)
		if since == nil {
			since = []byte{}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify: trust file or checkpoint:", err)
		os.Exit(2)
	}
	if *leafPath != "" {
		if err := checkReceipt(flag.Arg(0), *leafPath, policy); err != nil {
			fmt.Println("not verified:", err)
			os.Exit(3)
		}
		fmt.Println("OK")
		return
	}
	found := verifyBundle(flag.Arg(0), policy, since)
	if *asJSON {
		json.NewEncoder(os.Stdout).Encode(found)
	} else {
		fmt.Printf("%s\nlog %s, %d entries, root %s\n", found.Verdict, found.Origin, found.Size, found.Root)
		for _, one := range found.Findings {
			fmt.Printf("  %s: %s\n", one.Code, one.Text)
		}
	}
	if found.Verdict != "OK" {
		os.Exit(3)
	}
}

func checkReceipt(path, leafPath string, policy *trust) error {
	if policy == nil {
		return errors.New("a receipt is worth nothing without a trust file")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(leafPath)
	if err != nil {
		return err
	}
	return verifyReceipt(data, entry, policy)
}

func verifyBundle(path string, policy *trust, since []byte) *report {
	files, err := readBundle(path)
	if err != nil {
		code, text := "UNREADABLE", "the bundle cannot be read"
		if malformed := (errMalformed{}); errors.As(err, &malformed) {
			code, text = "MALFORMED", malformed.Error()
		}
		return &report{Verdict: code, Entries: map[string]int{}, Findings: []finding{{code, text}}}
	}
	v := &verification{
		files: files, trust: policy, since: since, counts: map[string]int{},
		leaves: map[int64]*leaf{}, types: map[string]int{}, findings: []finding{},
	}
	return v.report()
}
