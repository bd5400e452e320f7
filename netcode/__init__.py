"""netcode"""
