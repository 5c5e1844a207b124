package main

import (
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// verifyReceipt checks that the log of the trust file has the entry (C2SP tlog-proof v1).
func verifyReceipt(data, entry []byte, policy *trust) error {
	head, checkpointText, found := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a receipt")
	}
	digits, ok := strings.CutPrefix(lines[1], "index ")
	index, err := decimal(digits)
	if !ok || err != nil {
		return errors.New("not a receipt: no index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := unbase64(line)
		if err != nil || len(hash) != tlog.HashSize {
			return errors.New("not a receipt: no hash")
		}
		proof = append(proof, tlog.Hash(hash))
	}
	signed, err := parseCheckpoint([]byte(checkpointText))
	if err != nil {
		return err
	}
	keys := policy.logKeys(signed.origin)
	signers, err := signed.signedBy(append(policy.witnessKeys(), keys...), false)
	if err != nil {
		return err
	}
	if !signedByLog(keys, signers) || !policy.met(policy.quorum, signers) {
		return errors.New("the log or too few witnesses have signed")
	}
	return tlog.CheckRecord(proof, signed.size, tlog.Hash(signed.root), index, tlog.RecordHash(entry))
}

// signedByLog tells whether a key of each type that the trust file lists for the log has signed.
func signedByLog(keys []*key, signed map[*key]uint64) bool {
	missing := map[byte]bool{}
	for _, k := range keys {
		missing[k.kind] = true
	}
	for _, k := range keys {
		if _, ok := signed[k]; ok {
			delete(missing, k.kind)
		}
	}
	return len(keys) > 0 && len(missing) == 0
}
