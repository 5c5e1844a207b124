package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// Where the tests of Padan keep their proof probes, seen from here.
const probes = "../../tests/vectors/log/probes/"

type probe struct {
	Desc    string   `json:"desc"`
	WantErr bool     `json:"want_err"`
	Proof   []string `json:"proof"`
	Index   uint64   `json:"index"`
	Size    uint64   `json:"size"`
	Leaf    string   `json:"leaf"`
	Root    string   `json:"root"`
	Old     uint64   `json:"old"`
	New     uint64   `json:"new"`
	OldRoot string   `json:"old_root"`
	NewRoot string   `json:"new_root"`
}

func read(t *testing.T, name string) (found []probe) {
	data, err := os.ReadFile(probes + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &found); err != nil || len(found) != 98 {
		t.Fatalf("%d probes, %v", len(found), err)
	}
	return found
}

// hashes returns nothing unless each text is a hash of 32 bytes; x/mod has no others.
func hashes(texts ...string) ([]tlog.Hash, bool) {
	var made []tlog.Hash
	for _, text := range texts {
		data, err := hex.DecodeString(text)
		if err != nil || len(data) != tlog.HashSize {
			return nil, false
		}
		made = append(made, tlog.Hash(data))
	}
	return made, true
}

func TestInclusion(t *testing.T) {
	for _, one := range read(t, "inclusion.json") {
		proof, whole := hashes(one.Proof...)
		ends, wholeEnds := hashes(one.Leaf, one.Root)
		holds := whole && wholeEnds &&
			tlog.CheckRecord(proof, int64(one.Size), ends[1], int64(one.Index), ends[0]) == nil
		if holds == one.WantErr {
			t.Errorf("%s: %v", one.Desc, holds)
		}
	}
}

func TestConsistency(t *testing.T) {
	stricter := 0
	for _, one := range read(t, "consistency.json") {
		proof, whole := hashes(one.Proof...)
		roots, wholeRoots := hashes(one.OldRoot, one.NewRoot)
		if !one.WantErr && !wholeRoots {
			stricter++ // roots of twelve bytes
			continue
		}
		holds := whole && wholeRoots &&
			tlog.CheckTree(proof, int64(one.New), roots[1], int64(one.Old), roots[0]) == nil
		if holds == one.WantErr {
			t.Errorf("%s: %v", one.Desc, holds)
		}
	}
	if stricter != 2 {
		t.Errorf("%d probes with roots that are no hashes", stricter)
	}
}
